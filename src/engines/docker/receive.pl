# Takes the listeners of a sandbox from its keeper (hand-out.pl) and passes them to Node over the channel that `fork` uses.
# What arrives is looked at first: it must be a listener of the port that was asked for, and nothing else.
# Arguments: x64|arm64; then a line from standard input: FOLDER tcp=PORT... udp=PORT... No module is loaded.
use strict;
use warnings;

my ($machine) = @ARGV;
my %nr = $machine eq 'arm64' ? (sendmsg => 211, recvmsg => 212) : (sendmsg => 46, recvmsg => 47);
use constant { AF_UNIX => 1, AF_INET => 2, SOCK_STREAM => 1, SOCK_DGRAM => 2, SOL_SOCKET => 1, SO_TYPE => 3, SO_ACCEPTCONN => 30 };
use constant { SCM_RIGHTS => 1, EINTR => 4, EAGAIN => 11, MSG_NOSIGNAL => 0x4000, MSG_CMSG_CLOEXEC => 0x40000000 };

sub stop {
  my ($subject, $what) = @_;
  print STDERR "casemate-receive: $subject: ", $what // "$!", "\n";
  exit 97;
}

my $order = <STDIN>;
exit 0 unless defined $order;
my ($folder, @ports) = split ' ', $order;
$folder =~ s/%([0-9A-F]{2})/chr hex $1/ge;
my $channel = $ENV{NODE_CHANNEL_FD};
defined $channel or stop('no channel');

# A path of any length fits: the name is relative.
chdir $folder or stop($folder);
unlink 'listeners';
umask 0;
socket(my $server, AF_UNIX, SOCK_STREAM, 0) or stop('socket');
bind($server, pack('Sa108', AF_UNIX, 'listeners')) or stop('socket');
listen($server, 1) or stop('socket');
accept(my $keeper, $server) or stop('accept');
unlink 'listeners';

sub pointer { return unpack('J', pack('P', $_[0])) }

sub received {
  my $text = "\0" x 8;
  my $control = "\0" x 24;
  substr($_, 0, 1) = "\0" for $text, $control;
  my $piece = pack('JJ', pointer($text), 1);
  my $message = pack('JIIJJJJiI', 0, 0, 0, pointer($piece), 1, pointer($control), length $control, 0, 0);
  my $count = syscall($nr{recvmsg}, fileno($keeper), $message, MSG_CMSG_CLOEXEC);
  $count == 1 or stop('keeper', $count == 0 ? 'ended early' : "$!");
  my ($length, $level, $type, $fd) = unpack('Jiii', $control);
  $length == 20 && $level == SOL_SOCKET && $type == SCM_RIGHTS or stop('keeper', 'sent no listener');
  return $fd;
}

sub check {
  my ($fd, $protocol, $port) = @_;
  open(my $socket, '+<&=', $fd) or stop("$protocol port $port");
  my ($family, $bound) = unpack('Sn', getsockname($socket) // '');
  my ($type, $listens) = map { unpack('i', getsockopt($socket, SOL_SOCKET, $_) // '') } SO_TYPE, SO_ACCEPTCONN;
  my $is_tcp = $protocol eq 'tcp';
  ($family // 0) == AF_INET && $bound == $port && $type == ($is_tcp ? SOCK_STREAM : SOCK_DGRAM) && $listens == ($is_tcp ? 1 : 0)
    or stop("$protocol port $port", 'is not what was asked for');
  return $socket;
}

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
  my $socket = check(received(), $protocol, $port);
  my $type = $protocol eq 'tcp' ? '"net.Native"' : '"dgram.Socket","dgramType":"udp4"';
  hand_over(qq({"cmd":"NODE_HANDLE","type":$type,"msg":{"protocol":"$protocol","port":$port}}\n), fileno($socket));
  syswrite($keeper, 'x') == 1 or stop('keeper');
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
