# Where packets can go.

sub address6 { my ($hex, $port, $scope) = @_; return pack('S n N a16 L', 10, $port, 0, pack('H32', $hex), $scope // 0) }
sub blocked(&) { my $work = shift; local $SIG{ALRM} = sub { die "slow\n" }; my $seen = eval { alarm 3; my $got = $work->(); alarm 0; $got }; alarm 0; return $seen // 'slow' }
sub dialled { my ($family, $address) = @_; return tried { my $s = opened($family, 1); $s && connect($s, $address) } }
sub reached { my ($family, $address) = @_; return blocked { dialled($family, $address) } }
sub tcp4 { my ($host, $port) = @_; return reached(2, address4($host, $port)) }
sub udp4 { my ($host, $port) = @_; return tried { my $s = opened(2, 2); $s && send($s, 'x', 0, address4($host, $port)) } }

$Q{interfaces} = sub { my (undef, undef, @rows) = lines('/proc/net/dev'); return [ map { /^\s*([^:\s]+):/ ? $1 : () } @rows ] };
$Q{routes} = sub { my @rows = lines('/proc/net/route'); shift @rows; return [ map { join ' ', (split)[0, 1, 2] } @rows ] };

my @FAR = ('192.0.2.10', '198.51.100.7', '10.0.2.2', '10.0.2.3', '172.17.0.1', '169.254.169.254', '192.168.65.254', '192.168.127.254', '100.100.100.200');
$Q{far} = sub {
    my %six = ('2001:db8::10' => '20010db8000000000000000000000010', '64:ff9b::c000:20a' => '0064ff9b0000000000000000c000020a', '::ffff:192.0.2.10' => '00000000000000000000ffffc000020a');
    my %seen = %{ side_by_side(3,
        (map { my $host = $_; ("tcp $host" => sub { dialled(2, address4($host, 443)) }) } @FAR),
        (map { my $name = $_; ("tcp $name" => sub { dialled(10, address6($six{$name}, 443)) }) } keys %six),
        'tcp ff02::1%1' => sub { dialled(10, address6('ff020000000000000000000000000001', 443, 1)) },
    ) };
    $seen{"udp $_"} = udp4($_, 53) for '192.0.2.10', '224.0.0.251', '239.255.255.250', '10.0.2.3';
    $seen{'udp broadcast'} = tried { my $s = opened(2, 2); $s && setsockopt($s, 1, 6, pack('l', 1)) && send($s, 'x', 0, address4('255.255.255.255', 9)) };
    return \%seen;
};
# RTM_DELADDR over netlink, of an address that no interface has: what may change addresses is told that there is none.
$Q{change_address} = sub {
    my $s = opened(16, 3) or return errname();
    my $kernel = pack('S S L L', 16, 0, 0, 0);
    bind($s, $kernel);
    my $message = pack('L S S L L C C C C L S S a4', 32, 21, 0x5, 1, 0, 2, 32, 0, 254, 1, 8, 2, "\xc0\x00\x02\x63");
    send($s, $message, 0, $kernel) or return errname();
    recv($s, my $reply, 4096, 0) // return errname();
    my $code = -unpack('l', substr($reply, 16, 4)); local $! = $code; return errname();
};
# What listens on loopback: ports of the host must not be among them.
$Q{own_listener} = sub {
    my $l = opened(2, 1); $l && bind($l, address4('127.0.0.1', 0)) && listen($l, 1) or return errname();
    my $port = unpack('x2 n', getsockname($l)); return tcp4('127.0.0.1', $port);
};
