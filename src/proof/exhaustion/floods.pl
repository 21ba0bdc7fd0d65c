# What can be done to the gateway from inside. Each answers how much was done and what came of it; connections are held until
# it is let go. Words after the number: a host, a port and what else the flood needs, as hex.
$SIG{PIPE} = 'IGNORE';

sub place { my ($host, $port) = @_; my $packed = gethostbyname($host); return defined $packed && length $packed == 4 ? Socket::pack_sockaddr_in($port, $packed) : undef }
sub reach { my ($place) = @_; my $one; return socket($one, 2, 1, 0) && connect($one, $place) ? $one : undef }
# Everything that comes until the end, or for so long.
sub hear { my ($one, $ms) = @_; my ($end, $text) = (millis() + $ms, ''); while (millis() < $end) { my $reads = ''; vec($reads, fileno $one, 1) = 1; last if select($reads, undef, undef, ($end - millis()) / 1000) < 1; last unless sysread($one, $text, 65536, length $text) } return $text }
# Open on both sides, whatever lies in it unread: TCP_INFO begins with the state, and 1 is ESTABLISHED.
sub is_open { my ($one) = @_; my $info = getsockopt($one, 6, 11); return defined $info && ord($info) == 1 }

# So many connections, by as many processes as they need; each says what it likes at once, and a byte more now and then.
sub crowd {
    my ($most, $host, $port, $hello, $drip) = @_;
    my $place = place($host, $port) // return { taken => 0, stopped => 'ENOTFOUND' };
    my $each = 300;
    pipe(my $from, my $to) or return { taken => 0, stopped => errname() };
    for (1 .. int(($most + $each - 1) / $each)) {
        my $child = fork // last;
        next if $child;
        close $from;
        my ($stopped, @open) = ('never');
        while (@open < $each) { $! = 0; my $one = reach($place); if (!$one) { $stopped = errname(); last } unblocked($one); syswrite($one, $hello) if length $hello; push @open, $one }
        # What is not taken in is closed when the gateway comes to it: as many as for a while.
        my ($alive, $same, $end) = (-1, 0, millis() + 12_000);
        while ($same < 6 && millis() < $end) { select(undef, undef, undef, 0.25); my $now = grep { is_open($_) } @open; $same = $now == $alive ? $same + 1 : 0; $alive = $now }
        syswrite($to, join(' ', scalar @open, $alive, $stopped) . "\n");
        close $to;
        while (1) { select(undef, undef, undef, 0.2); if ($drip) { syswrite($_, $drip) for @open } }
    }
    close $to;
    my ($taken, $alive, $stopped) = (0, 0, 'never');
    for (split /\n/, do { local $/; <$from> } // '') { my ($some, $living, $why) = split / /; $taken += $some; $alive += $living; $stopped = $why if $why ne 'never' }
    return { taken => $taken, open => $alive, stopped => $stopped };
}
$TAKE{idle_connections} = sub { my ($most, $host, $port) = @_; crowd($most, $host, $port, '') };
$TAKE{slow_heads} = sub { my ($most, $host, $port) = @_; crowd($most, $host, $port, "GET / HTTP/1.1\r\nHost: $host\r\nX-Slow: ", 'x') };
# The beginning of a greeting of TLS: the length that it states never comes.
$TAKE{half_greetings} = sub { my ($most, $host, $port) = @_; crowd($most, $host, $port, pack('H*', '160301020001'), "\0") };
$TAKE{unread_answers} = sub { my ($most, $host, $port) = @_; crowd($most, $host, $port, "GET /large HTTP/1.1\r\nHost: $host\r\n\r\n") };

# Connections one after the other, for so many milliseconds.
$TAKE{churn} = sub {
    my ($ms, $host, $port) = @_;
    my $place = place($host, $port) // return { taken => 0, stopped => 'ENOTFOUND' };
    my ($end, $made) = (millis() + $ms, 0);
    while (millis() < $end) { my $one = reach($place) or last; $made++; close $one }
    return { taken => $made, stopped => 'time' };
};

# Requests that are answered without an upstream, as fast as they are answered; statuses are counted.
sub requests {
    my ($most, $host, $port, $text) = @_;
    my $place = place($host, $port) // return { taken => 0, stopped => 'ENOTFOUND' };
    my ($asked, %seen) = (0);
    while ($asked < $most) {
        my $one = reach($place) or last;
        $asked++;
        my $put = 0;
        while ($put < length $text) { my $more = syswrite($one, $text, length($text) - $put, $put) or last; $put += $more }
        my $answer = hear($one, 3000);
        $seen{ $answer =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'cut' }++;
    }
    return { taken => $asked, stopped => 'never', map { ("status $_" => $seen{$_}) } keys %seen };
}
# The same on so many connections at one moment, again and again: nobody waits for an answer before the next one is opened.
sub bursts {
    my ($most, $each, $host, $port, $text) = @_;
    my $place = place($host, $port) // return { taken => 0, stopped => 'ENOTFOUND' };
    my ($started, $asked, $stopped, %seen) = (millis(), 0, 'never');
    while ($asked < $most && $stopped eq 'never') {
        my @open;
        while (@open < $each && $asked < $most) { $! = 0; my $one = reach($place); if (!$one) { $stopped = errname(); last } $asked++; syswrite($one, $text); push @open, $one }
        for my $one (@open) { $seen{ hear($one, 10_000) =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'cut' }++ }
    }
    return { taken => $asked, stopped => $stopped, ms => millis() - $started, map { ("status $_" => $seen{$_}) } keys %seen };
}
# The same on few connections: many requests on each.
$TAKE{denied_requests} = sub {
    my ($most, $host, $port) = @_;
    my $place = place($host, $port) // return { taken => 0, stopped => 'ENOTFOUND' };
    my ($answered, $left) = (0, $most);
    while ($left > 0) {
        my $one = reach($place) or last;
        my $some = $left < 10 ? $left : 10;
        syswrite($one, "GET /$_ HTTP/1.1\r\nHost: $host\r\n\r\n") for 2 .. $some;
        syswrite($one, "GET / HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
        my $text = hear($one, 5000);
        $answered += () = $text =~ m{HTTP/1\.1 403 }g;
        $left -= $some;
    }
    return { taken => $answered, stopped => $left > 0 ? errname() : 'never' };
};
$TAKE{given_request} = sub { my ($most, $host, $port, $hex, $each) = @_; bursts($most, $each, $host, $port, pack('H*', $hex)) };
# Heads that are too large in every direction, made here: they are longer than a word may be.
my %LARGE = (
    'one field' => sub { "A: " . 'x' x (1 << 20) },
    'many fields' => sub { join "\r\n", ('A: x') x 60000 },
    'many names' => sub { join "\r\n", map { "A$_: x" } 1 .. 60000 },
    'cookies' => sub { 'Cookie: ' . 'a=b; ' x 200000 },
);
$TAKE{large_heads} = sub {
    my ($most, $host, $port) = @_;
    my %texts = map { ($_ => "GET / HTTP/1.1\r\nHost: $host\r\n" . $LARGE{$_}->() . "\r\nConnection: close\r\n\r\n") } keys %LARGE;
    $texts{target} = 'GET /' . 'a' x (1 << 20) . " HTTP/1.1\r\nHost: $host\r\n\r\n";
    $texts{host} = "GET / HTTP/1.1\r\nHost: " . 'a' x (1 << 20) . "\r\n\r\n";
    my (%seen, $taken);
    for my $name (sort keys %texts) { my $one = requests($most, $host, $port, $texts{$name}); $taken += $one->{taken}; $seen{$name} = join ' ', map { s/status //r } grep { /^status/ } sort keys %$one }
    return { taken => $taken, stopped => 'never', %seen };
};

# TLS greetings, each for a new name below the host: what comes back beside a refusal has a certificate in it. `%` in the greeting
# stands for a byte of the name.
$TAKE{greetings} = sub {
    my ($most, $host, $port, $hex) = @_;
    my ($made, $refused, $started) = (0, 0, millis());
    for my $number (1 .. $most) {
        my $label = sprintf('%016x', $number * 2654435761 + $$);
        my $place = place("$label.$host", $port) or return { taken => $made, refused => $refused, stopped => 'ENOTFOUND', ms => millis() - $started };
        my $one = reach($place) or last;
        my $hello = pack('H*', $hex) =~ s/%{16}/$label/r;
        syswrite($one, $hello);
        my $reads = ''; vec($reads, fileno $one, 1) = 1;
        select($reads, undef, undef, 3);
        my $got = sysread($one, my $text, 65536);
        $got && ord($text) == 0x16 ? $made++ : $refused++;
        close $one;
    }
    return { taken => $made, refused => $refused, stopped => 'never', ms => millis() - $started };
};

# Questions to the resolver, each for a name of its own, for so many milliseconds.
sub question { my ($id, $name) = @_; return pack('n6', $id, 0x100, 1, 0, 0, 0) . join('', map { pack('C/a', $_) } split /\./, $name) . pack('x n n', 1, 1) }
$TAKE{questions} = sub {
    my ($ms, $host) = @_;
    socket(my $one, 2, 2, 0) or return { taken => 0, stopped => errname() };
    connect($one, Socket::pack_sockaddr_in(53, "\x7f\0\0\1"));
    unblocked($one);
    my ($started, $asked, $answered) = (millis(), 0, 0);
    while (millis() < $started + $ms) {
        for (1 .. 50) { $asked++ if send($one, question($asked & 0xffff, sprintf('n%x-%x.%s', $$, $asked, $host)), 0) }
        while (defined recv($one, my $text, 4096, 0)) { $answered++ if length $text }
    }
    select(undef, undef, undef, 0.1);
    while (defined recv($one, my $text, 4096, 0)) { $answered++ if length $text }
    return { taken => $asked, answered => $answered, stopped => 'time', ms => millis() - $started };
};

# Bytes through a connection that is passed on as it is, after a greeting: as fast as they go, for so many milliseconds.
$TAKE{bulk} = sub {
    my ($ms, $host, $port, $hex, $count) = @_;
    my $place = place($host, $port) // return { taken => 0, stopped => 'ENOTFOUND' };
    my @open = map { reach($place) // () } 1 .. $count // 4;
    syswrite($_, pack('H*', $hex)) for @open;
    unblocked($_) for @open;
    my ($end, $bytes, $piece) = (millis() + $ms, 0, 'x' x 65536);
    while (millis() < $end) {
        my $writes = ''; vec($writes, fileno $_, 1) = 1 for @open;
        last if select(undef, $writes, undef, 0.5) < 0;
        for my $one (@open) { $bytes += syswrite($one, $piece) // 0 if vec($writes, fileno $one, 1) }
    }
    return { taken => int($bytes / $MIB), stopped => 'time' };
};
