# Shared by the programs that bind listeners of a sandbox, or pass them on next to a message (SCM_RIGHTS, unix(7)). Each loads it
# by its path, or has it in front of its own text where it goes into a container, and has a sub `stop`, which reports a failure
# and ends. No module is loaded: that takes longer than all the rest.
use strict;
use warnings;

use constant { AF_UNIX => 1, AF_INET => 2, SOCK_STREAM => 1, SOCK_DGRAM => 2, SOL_SOCKET => 1, SO_REUSEADDR => 2, SCM_RIGHTS => 1 };
use constant { EINTR => 4, EAGAIN => 11, MSG_NOSIGNAL => 0x4000 };

my %sendmsg = (x64 => 46, arm64 => 211);

# "tcp=443", as it stands in an order
sub port_of {
  my ($word) = @_;
  my ($protocol, $port) = $word =~ /^(tcp|udp)=(\d+)$/ or stop("port $word");
  return ($protocol, $port);
}

sub bound_listener {
  my ($protocol, $port) = @_;
  my $is_tcp = $protocol eq 'tcp';
  socket(my $socket, AF_INET, $is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or stop("$protocol socket");
  # A daemon that takes its sandboxes back finds ports with connections of the one before it in TIME_WAIT.
  setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) or stop("$protocol socket") if $is_tcp;
  # Names have addresses all over 127.0.0.0/8, and nothing else can reach this namespace; DNS has one address.
  my @address = $is_tcp ? (0, 0, 0, 0) : (127, 0, 0, 1);
  bind($socket, pack('SnC4x8', AF_INET, $port, @address)) or stop("$protocol port $port");
  listen($socket, 1024) or stop("$protocol port $port") if $is_tcp;
  return $socket;
}

sub pointer { return unpack('J', pack('P', $_[0])) }

# struct msghdr with one piece of data and one control message of type SCM_RIGHTS; answers as sendmsg(2) does
sub send_descriptor {
  my ($machine, $channel, $text, $socket) = @_;
  my $control = pack('JiiiI', 20, SOL_SOCKET, SCM_RIGHTS, fileno($socket), 0);
  my $piece = pack('JJ', pointer($text), length $text);
  my $message = pack('JIIJJJJiI', 0, 0, 0, pointer($piece), 1, pointer($control), length $control, 0, 0);
  return syscall($sendmsg{$machine}, $channel + 0, $message, MSG_NOSIGNAL);
}

# Over the channel that `fork` of Node uses: one line of JSON, with the descriptor beside it.
sub pass_to_node {
  my ($machine, $protocol, $port, $socket) = @_;
  my $channel = $ENV{NODE_CHANNEL_FD} // stop('no channel');
  my $type = $protocol eq 'tcp' ? '"net.Native"' : '"dgram.Socket","dgramType":"udp4"';
  my $text = qq({"cmd":"NODE_HANDLE","type":$type,"msg":{"protocol":"$protocol","port":$port}}\n);
  while (1) {
    my $sent = send_descriptor($machine, $channel, $text, $socket);
    return if $sent == length $text;
    $sent < 0 && ($! == EAGAIN || $! == EINTR) or stop('hand over');
    my $writable = '';
    vec($writable, $channel, 1) = 1;
    select(undef, $writable, undef, 1);
  }
}

# Until Node hangs up: it has taken everything by then.
sub await_node {
  my $channel = $ENV{NODE_CHANNEL_FD};
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
}

1;
