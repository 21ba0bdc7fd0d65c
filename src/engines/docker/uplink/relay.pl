# Carries connections of a sandbox to the daemon where the engine cannot hand over listeners. Two of it run, each in a container
# of ours: the one in the keeper accepts the sandbox's connections and passes them on through a socket that only the two see; the
# one in the uplink takes them there and brings them to the one port it was told of. Neither knows another destination.
#
# Arguments: keeper SOCKET tcp=PORT... udp=PORT... or uplink SOCKET HOST PORT. The uplink reads one token a line from standard
# input; each opens one connection, and "used" asks for the next, whatever became of that one. "ready" is said once everything is
# bound. The end of standard input ends everything. No module is loaded.
use strict;
BEGIN { $^W = 1 }

my ($mode, $path, @rest) = @ARGV;
sub AF_UNIX () { 1 }
sub AF_INET () { 2 }
sub SOCK_STREAM () { 1 }
sub SOCK_DGRAM () { 2 }
sub SOL_SOCKET () { 1 }
sub SO_REUSEADDR () { 2 }
sub F_GETFL () { 3 }
sub F_SETFL () { 4 }
sub O_NONBLOCK () { 04000 }
sub EINTR () { 4 }
sub EAGAIN () { 11 }
sub EINPROGRESS () { 115 }
# Half of what is kept for one end; all of it together has to fit into the memory of the container.
sub PIECE () { 16384 }
sub DATAGRAM () { 65536 }
# As many as select(2) and the limit of open files have room for.
sub MOST () { 900 }
$SIG{PIPE} = 'IGNORE';

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-relay: $subject: $!\n";
  exit 97;
}

# By descriptor: the socket, the other end of its pair, what is still to be sent to it, whether it sends no more.
my (%socket, %peer, %out, %ended);
my (%listener, %datagram);

sub keep {
  my ($socket) = @_;
  my $fd = fileno $socket;
  fcntl($socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK);
  ($socket{$fd}, $out{$fd}, $ended{$fd}) = ($socket, '', 0);
  return $fd;
}

sub drop {
  my ($fd) = @_;
  my $other = delete $peer{$fd};
  delete $peer{$other} if defined $other;
  for (grep { defined } $fd, $other) {
    close $socket{$_} if $socket{$_};
    delete $socket{$_};
    delete $out{$_};
    delete $ended{$_};
  }
  # Its number is the next connection's.
  for (values %datagram) { delete $_->{way} if defined $_->{way} && $_->{way} == $fd }
}

sub pair {
  my ($left, $right, $first) = @_;
  my ($a, $b) = (keep($left), keep($right));
  ($peer{$a}, $peer{$b}, $out{$b}) = ($b, $a, $first);
}

sub unix_connection {
  socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or return;
  # Whoever listens may still be starting.
  for (1 .. 500) {
    return $socket if connect($socket, pack('Sa108', AF_UNIX, $path));
    return if $_ == 500;
    select(undef, undef, undef, 0.01);
  }
}

sub read_from {
  my ($fd) = @_;
  my $count = sysread($socket{$fd}, my $bytes, PIECE);
  return if !defined $count && ($! == EAGAIN || $! == EINTR);
  return drop($fd) unless defined $count;
  if ($count == 0) { $ended{$fd} = 1 } else { $out{ $peer{$fd} } .= $bytes }
  finish($fd);
}

sub write_to {
  my ($fd) = @_;
  my $count = syswrite($socket{$fd}, $out{$fd});
  return if !defined $count && ($! == EAGAIN || $! == EINTR);
  return drop($fd) unless defined $count;
  substr($out{$fd}, 0, $count) = '';
  finish($peer{$fd}) if defined $peer{$fd};
}

# What one end has said to its end is brought to the other, and then so is the end itself.
sub finish {
  my ($fd) = @_;
  my $to = $peer{$fd};
  return if !$ended{$fd} || $out{$to} ne '';
  if ($ended{$fd} == 1) {
    shutdown($socket{$to}, 1);
    $ended{$fd} = 2;
  }
  drop($fd) if $ended{$to} == 2;
}

# Datagrams of one port share a connection: length, the sender's address and port, the bytes.
sub take_datagram {
  my ($fd) = @_;
  my $from = recv($datagram{$fd}{socket}, my $bytes, DATAGRAM, 0);
  return unless defined $from;
  my $port = $datagram{$fd}{port};
  if (!defined $datagram{$fd}{way}) {
    my $way = unix_connection() or return;
    my $number = keep($way);
    ($datagram{$fd}{way}, $datagram{$fd}{got}, $out{$number}) = ($number, '', "udp 127.0.0.1 $port\n");
  }
  my $way = $datagram{$fd}{way};
  # Datagrams may be lost, and memory has a bound.
  $out{$way} .= pack('n', length $bytes) . substr($from, 2, 6) . $bytes if length $out{$way} < 1048576;
}

sub bring_answers {
  my ($fd) = @_;
  my $row = $datagram{$fd};
  my $count = sysread($socket{ $row->{way} }, $row->{got}, PIECE, length $row->{got});
  return if !defined $count && ($! == EAGAIN || $! == EINTR);
  return drop($row->{way}) unless $count;
  while (length $row->{got} >= 8) {
    my $length = unpack('n', $row->{got});
    last if length $row->{got} < 8 + $length;
    send($row->{socket}, substr($row->{got}, 8, $length), 0, pack('Sa6x8', AF_INET, substr($row->{got}, 2, 6)));
    substr($row->{got}, 0, 8 + $length) = '';
  }
}

my ($host, $to_port, @tokens);

# Where the daemon cannot be reached that is said at once, and not by each connection of the sandbox.
sub require_daemon {
  my $place = "no way to port $to_port of $host";
  my $address = gethostbyname($host);
  if (!defined $address) { $! = 113; stop($place) }
  local $SIG{ALRM} = sub { $! = 110; stop($place) };
  alarm 10;
  socket(my $daemon, AF_INET, SOCK_STREAM, 0) or stop('socket');
  connect($daemon, pack('Sna4x8', AF_INET, $to_port, $address)) or stop($place);
  alarm 0;
}

if ($mode eq 'uplink') {
  ($host, $to_port) = @rest;
  require_daemon();
  unlink $path;
  socket(my $server, AF_UNIX, SOCK_STREAM, 0) or stop('socket');
  bind($server, pack('Sa108', AF_UNIX, $path)) && listen($server, 1024) or stop($path);
  $listener{ keep($server) } = 0;
} else {
  for (@rest) {
    my ($protocol, $port) = /^(tcp|udp)=(\d+)$/ or stop("port $_");
    my $is_tcp = $protocol eq 'tcp';
    socket(my $socket, AF_INET, $is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or stop("$protocol socket");
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) or stop("$protocol socket") if $is_tcp;
    # Names have addresses all over 127.0.0.0/8, and nothing else can reach this namespace; DNS has one address.
    my @address = $is_tcp ? (0, 0, 0, 0) : (127, 0, 0, 1);
    bind($socket, pack('SnC4x8', AF_INET, $port, @address)) or stop("$protocol port $port");
    listen($socket, 1024) or stop("$protocol port $port") if $is_tcp;
    my $fd = keep($socket);
    if ($is_tcp) { $listener{$fd} = $port } else { $datagram{$fd} = { socket => $socket, port => $port } }
  }
}

# The sandbox's: it is answered with an end where the uplink is gone.
sub take_connection {
  my ($fd) = @_;
  accept(my $caller, $socket{$fd}) or return;
  if ($mode eq 'uplink') {
    socket(my $daemon, AF_INET, SOCK_STREAM, 0) or return;
    fcntl($daemon, F_SETFL, fcntl($daemon, F_GETFL, 0) | O_NONBLOCK);
    my $address = gethostbyname($host) or return;
    connect($daemon, pack('Sna4x8', AF_INET, $to_port, $address)) || $! == EINPROGRESS or return;
    pair($caller, $daemon, shift(@tokens) . "\n");
    # Not when it was shown: a connection that breaks off before that would leave one less for good.
    syswrite(STDOUT, "used\n");
    return;
  }
  my ($port, @address) = (unpack('SnC4', getsockname($caller)))[1 .. 5];
  # By its end's port it can be told which program of the sandbox has it.
  my $own = getpeername($caller) or return;
  my $from = (unpack('Sn', $own))[1];
  my $way = unix_connection() or return;
  pair($caller, $way, 'tcp ' . join('.', @address) . " $port $from\n");
}

syswrite(STDOUT, "ready\n");
my $input = '';
while (1) {
  my ($readable, $writable) = ('', '');
  vec($readable, 0, 1) = 1;
  my %answers = map { defined $datagram{$_}{way} ? ($datagram{$_}{way} => $_) : () } keys %datagram;
  my $has_room = keys(%socket) < MOST && ($mode eq 'keeper' || @tokens);
  for my $fd (keys %socket) {
    my $takes = exists $listener{$fd} ? $has_room : exists $datagram{$fd} || exists $answers{$fd};
    $takes = !$ended{$fd} && length $out{ $peer{$fd} } < 2 * PIECE if defined $peer{$fd};
    vec($readable, $fd, 1) = 1 if $takes;
    vec($writable, $fd, 1) = 1 if $out{$fd} ne '';
  }
  next if select($readable, $writable, undef, undef) < 0;
  if (vec($readable, 0, 1)) {
    my $count = sysread(STDIN, $input, PIECE, length $input);
    exit 0 if defined $count && $count == 0;
    push @tokens, $1 while $input =~ s/^([0-9a-f]+)\n//;
  }
  for my $fd (keys %socket) {
    write_to($fd) if $socket{$fd} && vec($writable, $fd, 1);
    next unless $socket{$fd} && vec($readable, $fd, 1);
    if (exists $listener{$fd}) { take_connection($fd) if $mode eq 'keeper' || @tokens }
    elsif (exists $datagram{$fd}) { take_datagram($fd) }
    elsif (exists $answers{$fd}) { bring_answers($answers{$fd}) }
    elsif (defined $peer{$fd}) { read_from($fd) }
  }
}
