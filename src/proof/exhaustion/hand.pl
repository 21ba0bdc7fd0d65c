# Runs inside a sandbox of the lab and nowhere else: takes of one thing as much as it gets, up to a number that it is told,
# and holds it until it is told to let go. Behind `ask.pl`. Lines in: ID take NAME MOST WORD..., ID drop. Lines out: ID and JSON.
# Every take is a process group of its own; what it must clean away it does when it lets go, and all of it ends with us.
our (%TAKE, @LATER, $SAY);
$NAME{ Errno::EAGAIN() } = 'EAGAIN';
my %holding;

# What is taken one after the other, until it is refused.
sub grab {
    my ($most, $one) = @_;
    my $taken = 0;
    while ($taken < $most) {
        $! = 0;
        $one->($taken) or return { taken => $taken, stopped => errname() };
        $taken++;
        so_far($taken) if $taken % 16 == 0;
    }
    return { taken => $taken, stopped => 'never' };
}
# Told on the way, for one that is killed before it can answer.
sub so_far { syswrite($SAY, "$_[0]\n") }
sub later { push @LATER, $_[0] }
sub millis { my $now = pack('q q', 0, 0); syscall($X86 ? 228 : 113, 1, $now); my ($s, $ns) = unpack('q q', $now); return $s * 1000 + int($ns / 1e6) }

sub begin {
    my ($id, $name, @words) = @_;
    my $take = $TAKE{$name} or return answer($id, { fault => "there is nothing named $name to take" });
    pipe(my $from, my $to) && pipe(my $wait, my $go) or return answer($id, { fault => 'no pipe: ' . errname() });
    my $child = fork;
    return answer($id, { fault => 'no process: ' . errname() }) unless defined $child;
    if ($child == 0) {
        setpgrp(0, 0);
        close $_->{go} for values %holding;
        close $from; close $go; open(STDIN, '<', '/dev/null');
        alarm 90;
        # Where memory ends, this one goes first.
        if (open(my $score, '>', '/proc/self/oom_score_adj')) { syswrite($score, '1000') }
        $SAY = $to;
        my $answer = eval { $take->(@words) };
        syswrite($to, json($@ ne '' ? { fault => "$@" } : $answer) . "\n");
        close $to;
        sysread($wait, my $nothing, 1);
        $_->() for reverse @LATER;
        kill 'KILL', -getpgrp();
    }
    close $to; close $wait;
    $holding{$id} = { pid => $child, from => $from, go => $go, text => '' };
}

sub answer { my ($id, $answer) = @_; print "$id ", ref $answer ? json($answer) : $answer, "\n" }

# The last line is the answer, or how far it had come. What it has started may hold the pipe open.
sub told {
    my ($id) = @_;
    my $one = $holding{$id};
    my $more = sysread($one->{from}, $one->{text}, 65536, length $one->{text});
    my $last = (split /\n/, $one->{text})[-1] // '';
    return if $more && $one->{text} !~ /\}\n\z/;
    close delete $one->{from};
    return answer($id, $last) if $last =~ /^\{/;
    waitpid($one->{pid}, 0);
    answer($id, { taken => $last eq '' ? 0 : $last, stopped => 'killed by signal ' . ($? & 127) });
}

sub let_go {
    my ($id) = @_;
    my $one = delete $holding{$id};
    if ($one) {
        close $one->{go};
        for (1 .. 300) { last if waitpid($one->{pid}, 1) != 0; select(undef, undef, undef, 0.02) }
        kill 'KILL', -$one->{pid};
        for (1 .. 100) { last unless kill(0, -$one->{pid}); select(undef, undef, undef, 0.02) }
    }
    answer($id, { dropped => 1 });
}

sub hand {
    $| = 1;
    my $in = '';
    while (1) {
        my $reads = '';
        vec($reads, 0, 1) = 1;
        my @open = grep { $holding{$_}{from} } keys %holding;
        vec($reads, fileno($holding{$_}{from}), 1) = 1 for @open;
        next if select($reads, undef, undef, undef) < 1;
        for my $id (@open) { told($id) if vec($reads, fileno($holding{$id}{from}), 1) }
        next unless vec($reads, 0, 1);
        my $got = sysread(STDIN, $in, 4096, length $in);
        if (!$got) { let_go($_) for keys %holding; exit 0 }
        while ($in =~ s/^([^\n]*)\n//) {
            my ($id, $verb, $name, @words) = split / /, $1;
            if ($verb eq 'take') { begin($id, $name, @words) } else { let_go($id) }
        }
    }
}
