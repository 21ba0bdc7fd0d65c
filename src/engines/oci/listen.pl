# Limits what a sandbox takes of pools that it shares with the host, enters its network namespace, binds its listeners, hands
# them to Node, waits for Node to hang up, and ends.
#
# Arguments: x64|arm64 user|root; then a line from standard input: PID tcp=PORT... udp=PORT... It may come much later, or never.
# Without ports it only sets the limits. No module is loaded: that takes longer than all the rest.
use strict;
use warnings;

BEGIN {
  my ($here) = __FILE__ =~ m{^(.*)/};
  require "$here/../listeners.pl";
}

my ($machine, $identity) = @ARGV;
my $setns = $machine eq 'arm64' ? 268 : 308;

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
    syscall($setns, fileno($user), 0) == 0 or stop('user namespace');
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
  syscall($setns, fileno($_), 0) == 0 or stop('namespace');
}

for (@ports) {
  my ($protocol, $port) = port_of($_);
  pass_to_node($machine, $protocol, $port, bound_listener($protocol, $port));
}
await_node();
