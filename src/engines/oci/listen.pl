# Bounds what a sandbox takes of pools it shares with the host, enters its network namespace, binds its listeners and hands
# them to Node over the channel that `fork` uses: one line of JSON a handle, with the descriptor beside it (SCM_RIGHTS).
# Then it waits for Node to hang up, and ends.
# Arguments: x64|arm64 user|root; then a line from standard input: PID tcp=PORT... udp=PORT... It may come much later, or
# never. Without ports it bounds and ends. No module is loaded: that takes longer than all the rest.
use strict;
use warnings;

my ($machine, $identity) = @ARGV;
my %nr = $machine eq 'arm64' ? (setns => 268, sendmsg => 211) : (setns => 308, sendmsg => 46);
use constant { AF_INET => 2, SOCK_STREAM => 1, SOCK_DGRAM => 2, SOL_SOCKET => 1, SO_REUSEADDR => 2, SCM_RIGHTS => 1 };
use constant { EINTR => 4, EAGAIN => 11, MSG_NOSIGNAL => 0x4000 };

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-listen: $subject: $!\n";
  exit 97;
}

my $order = <STDIN>;
exit 0 unless defined $order;
my ($pid, @ports) = split ' ', $order;
$pid =~ /^\d+$/ or stop("process $pid");

sub namespace_of {
  my ($pid, $kind) = @_;
  sysopen(my $namespace, "/proc/$pid/ns/$kind", 0) or stop("$kind namespace");
  return $namespace;
}

# One pool of the caller's own stands behind these of every sandbox (user_namespaces(7)): each gets a quarter of it at most,
# so that one alone can take them neither from the host nor from the others. They are set from inside the user namespace.
my @pools = ('max_inotify_instances', 'max_inotify_watches');

sub bound_pools {
  my ($user) = @_;
  my %bounds;
  for my $pool (@pools) {
    sysopen(my $file, "/proc/sys/user/$pool", 0) or stop($pool);
    sysread($file, my $limit, 32) or stop($pool);
    $bounds{$pool} = int($limit / 4) || 1;
  }
  my $child = fork();
  defined $child or stop('fork');
  if ($child == 0) {
    syscall($nr{setns}, fileno($user), 0) == 0 or stop('user namespace');
    for my $pool (@pools) {
      sysopen(my $file, "/proc/sys/user/$pool", 1) or stop($pool);
      defined syswrite($file, "$bounds{$pool}\n") or stop($pool);
    }
    exit 0;
  }
  waitpid $child, 0;
  $? == 0 or exit 97;
}

bound_pools(namespace_of($pid, 'user'));
# Listeners of a container of another engine come another way.
exit 0 unless @ports;

# An ordinary user owns the sandbox's user namespace and has every right in it, but only from inside; and only from
# outside may it look at the first process. So both are opened, then both are entered.
my @namespaces = map { namespace_of($pid, $_) } $identity eq 'user' ? ('user', 'net') : ('net');
for (@namespaces) {
  syscall($nr{setns}, fileno($_), 0) == 0 or stop('namespace');
}

my $channel = $ENV{NODE_CHANNEL_FD};
defined $channel or stop('no channel');

sub pointer { return unpack('J', pack('P', $_[0])) }

# struct msghdr with one piece of data and one control message of type SCM_RIGHTS
sub hand_over {
  my ($text, $fd) = @_;
  my $control = pack('JiiiI', 20, SOL_SOCKET, SCM_RIGHTS, $fd, 0);
  my $piece = pack('JJ', pointer($text), length $text);
  my $message = pack('JIIJJJJiI', 0, 0, 0, pointer($piece), 1, pointer($control), length $control, 0, 0);
  while (1) {
    my $sent = syscall($nr{sendmsg}, $channel + 0, $message, MSG_NOSIGNAL);
    return if $sent == length $text;
    $sent < 0 && ($! == EAGAIN || $! == EINTR) or stop('hand over');
    my $writable = '';
    vec($writable, $channel, 1) = 1;
    select(undef, $writable, undef, 1);
  }
}

for (@ports) {
  my ($protocol, $port) = /^(tcp|udp)=(\d+)$/ or stop("port $_");
  my $is_tcp = $protocol eq 'tcp';
  socket(my $socket, AF_INET, $is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or stop("$protocol socket");
  # A daemon that takes its sandboxes back finds ports with connections of the one before it in TIME_WAIT.
  setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) or stop("$protocol socket") if $is_tcp;
  # Names have addresses all over 127.0.0.0/8, and nothing else can reach this namespace; DNS has one address.
  my @address = $is_tcp ? (0, 0, 0, 0) : (127, 0, 0, 1);
  bind($socket, pack('SnC4x8', AF_INET, $port, @address)) or stop("$protocol port $port");
  listen($socket, 1024) or stop("$protocol port $port") if $is_tcp;
  my $type = $is_tcp ? '"net.Native"' : '"dgram.Socket","dgramType":"udp4"';
  hand_over(qq({"cmd":"NODE_HANDLE","type":$type,"msg":{"protocol":"$protocol","port":$port}}\n), fileno($socket));
}

open(my $done, '<&=', $channel) or stop('channel');
while (1) {
  my $count = sysread($done, my $bytes, 4096);
  last if defined $count && $count == 0;
  next if defined $count;
  last unless $! == EAGAIN || $! == EINTR;
  my $readable = '';
  vec($readable, $channel, 1) = 1;
  select($readable, undef, undef, undef);
}
