# Runs in the keeper, the container that holds a sandbox's network: binds the listeners and passes them over that sandbox's
# socket to a process of the host (SCM_RIGHTS). Then it ends: nothing of ours stays, and no byte passes through here.
#
# Arguments: x64|arm64 SOCKET tcp=PORT... udp=PORT... The code it shares with others (listeners.pl) stands in front of it.
use strict;
use warnings;

my ($machine, $path, @ports) = @ARGV;
sub stop {
  my ($subject) = @_;
  print STDERR "casemate-listen: $subject: $!\n";
  exit 97;
}

socket(my $uplink, AF_UNIX, SOCK_STREAM, 0) or stop('socket');
# Whoever receives may still be starting, and whoever waits for this one gives up first.
for (1 .. 3000) {
  last if connect($uplink, pack('Sa108', AF_UNIX, $path));
  $_ < 3000 or stop($path);
  select(undef, undef, undef, 0.01);
}

for (@ports) {
  my ($protocol, $port) = port_of($_);
  send_descriptor($machine, fileno($uplink), 'x', bound_listener($protocol, $port)) == 1 or stop('hand over');
  # One after the other: the next message must not run into this one.
  sysread($uplink, my $taken, 1) == 1 or stop('hand over');
}
