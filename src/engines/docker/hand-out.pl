# Runs in the keeper, the container that holds a sandbox's network: binds the listeners and hands them over the socket of
# that sandbox to a process of the host (SCM_RIGHTS). Then it ends: nothing of ours stays, and no byte passes through here.
# Arguments: x64|arm64 SOCKET tcp=PORT... udp=PORT... No module is loaded.
use strict;
use warnings;

my ($machine, $path, @ports) = @ARGV;
my %nr = $machine eq 'arm64' ? (sendmsg => 211) : (sendmsg => 46);
use constant { AF_UNIX => 1, AF_INET => 2, SOCK_STREAM => 1, SOCK_DGRAM => 2, SOL_SOCKET => 1, SO_REUSEADDR => 2, SCM_RIGHTS => 1 };

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-listen: $subject: $!\n";
  exit 97;
}

socket(my $uplink, AF_UNIX, SOCK_STREAM, 0) or stop('socket');
# Whoever receives may still be starting.
for (1 .. 500) {
  last if connect($uplink, pack('Sa108', AF_UNIX, $path));
  $_ < 500 or stop($path);
  select(undef, undef, undef, 0.01);
}

sub pointer { return unpack('J', pack('P', $_[0])) }

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
  my $text = 'x';
  my $control = pack('JiiiI', 20, SOL_SOCKET, SCM_RIGHTS, fileno($socket), 0);
  my $piece = pack('JJ', pointer($text), 1);
  my $message = pack('JIIJJJJiI', 0, 0, 0, pointer($piece), 1, pointer($control), length $control, 0, 0);
  syscall($nr{sendmsg}, fileno($uplink), $message, 0) == 1 or stop('hand over');
  # One after the other: the next message must not run into this one.
  sysread($uplink, my $taken, 1) == 1 or stop('hand over');
}
