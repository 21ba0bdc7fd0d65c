# Takes the listeners of a sandbox from its keeper (hand-out.pl) and passes them to Node. Each is checked first: it must be a
# listener of the requested port and nothing else. Arguments: x64|arm64; then a line from standard input: FOLDER tcp=PORT...
# udp=PORT... No module is loaded.
use strict;
use warnings;

BEGIN {
  my ($here) = __FILE__ =~ m{^(.*)/};
  require "$here/../listeners.pl";
}

my ($machine) = @ARGV;
my $recvmsg = $machine eq 'arm64' ? 212 : 47;
use constant { SO_TYPE => 3, SO_ACCEPTCONN => 30, MSG_CMSG_CLOEXEC => 0x40000000 };

sub stop {
  my ($subject, $what) = @_;
  print STDERR "casemate-receive: $subject: ", $what // "$!", "\n";
  exit 97;
}

my $order = <STDIN>;
exit 0 unless defined $order;
my ($folder, @ports) = split ' ', $order;
$folder =~ s/%([0-9A-F]{2})/chr hex $1/ge;

# A path of any length fits: the name is relative.
chdir $folder or stop($folder);
unlink 'listeners';
umask 0;
socket(my $server, AF_UNIX, SOCK_STREAM, 0) or stop('socket');
bind($server, pack('Sa108', AF_UNIX, 'listeners')) or stop('socket');
listen($server, 1) or stop('socket');
accept(my $keeper, $server) or stop('accept');
unlink 'listeners';

sub received {
  my $text = "\0" x 8;
  my $control = "\0" x 24;
  substr($_, 0, 1) = "\0" for $text, $control;
  my $piece = pack('JJ', pointer($text), 1);
  my $message = pack('JIIJJJJiI', 0, 0, 0, pointer($piece), 1, pointer($control), length $control, 0, 0);
  my $count = syscall($recvmsg, fileno($keeper), $message, MSG_CMSG_CLOEXEC);
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

for (@ports) {
  my ($protocol, $port) = port_of($_);
  pass_to_node($machine, $protocol, $port, check(received(), $protocol, $port));
  syswrite($keeper, 'x') == 1 or stop('keeper');
}
await_node();
