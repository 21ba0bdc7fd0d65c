# Runs inside a sandbox, ours or another: puts questions to the kernel and prints one line of JSON for each answer, behind
# a nonce. Only perl-base is needed. Each question is a process of its own, so that one which is killed for asking is told
# of and ends nobody else. Nothing here changes anything: every call is made with arguments that cannot succeed, or is undone.
use strict; use warnings; no warnings qw(once);
use POSIX ();
use Errno ();

our (%Q, %NAME, $X86);
$X86 = (POSIX::uname())[4] eq 'x86_64';
for my $name (sort @Errno::EXPORT_OK) { my $code = Errno->can($name); $NAME{$code->()} //= $name if $code }

sub errname { my $code = $! + 0; return $code == 0 ? 'OK' : $NAME{$code} // "E$code" }
# of two names for one number the first in the alphabet, as EAGAIN before EWOULDBLOCK
# the answer of one attempt: DONE or the name of the errno
sub tried(&) { my $work = shift; local $! = 0; my $done = eval { $work->() }; return $done ? 'DONE' : errname() }

sub address4 { my ($host, $port) = @_; return pack('S n C4 x8', 2, $port, split /\./, $host) }
sub opened { my ($family, $type) = @_; socket(my $socket, $family, $type, 0) or return undef; return $socket }

sub slurp { my ($path, $most) = @_; open(my $file, '<', $path) or return undef; my $text = ''; read($file, $text, $most // 1 << 20); return $text }
sub lines { return split /\n/, slurp(@_) // '' }

sub json {
    my $value = shift;
    return 'null' unless defined $value;
    if (ref $value eq 'HASH') { return '{' . join(',', map { text($_) . ':' . json($value->{$_}) } sort keys %$value) . '}' }
    if (ref $value eq 'ARRAY') { return '[' . join(',', map { json($_) } @$value) . ']' }
    return $value if $value =~ /\A-?(?:0|[1-9]\d{0,14})\z/;
    return text($value);
}

sub text {
    my $value = shift;
    $value =~ s/([\\"]|[^\x20-\x7e])/sprintf('\u%04x', ord($1))/ge;
    return qq("$value");
}

# Several attempts side by side, each a process of its own with so many seconds: 'slow' where it did not end by itself.
sub side_by_side {
    my ($seconds, %work) = @_;
    my (%running, %seen);
    for my $name (keys %work) {
        pipe(my $from, my $to) or return { map { $_ => 'no pipe: ' . errname() } keys %work };
        my $child = fork;
        if (defined $child && $child == 0) { close $from; alarm $seconds; syswrite($to, $work{$name}->()); POSIX::_exit(0) }
        close $to;
        if (defined $child) { $running{$name} = [$from, $child] } else { $seen{$name} = 'no process: ' . errname() }
    }
    for my $name (keys %running) {
        my ($from, $child) = @{ $running{$name} };
        $seen{$name} = do { local $/; <$from> } // '';
        waitpid($child, 0);
        $seen{$name} = ($? & 127) == 14 ? 'slow' : 'killed by signal ' . ($? & 127) if $seen{$name} eq '';
    }
    return \%seen;
}

# What a question is told: words, each with percent signs for what is no letter or digit.
sub told { return map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } split / /, $_[0] // '' }

# Answers of one question, by a child that may die of it; at most as long as said.
sub answer_of {
    my ($question, $seconds, $told) = @_;
    pipe(my $from, my $to) or return { fault => 'no pipe: ' . errname() };
    my $child = fork;
    return { fault => 'no process: ' . errname() } unless defined $child;
    if ($child == 0) {
        close $from;
        $SIG{$_} = 'DEFAULT' for qw(ALRM TERM INT);
        alarm $seconds;
        my $answer = eval { $question->($told) };
        print $to json($@ ne '' ? { fault => "$@" } : { answer => $answer });
        close $to;
        POSIX::_exit(0);
    }
    close $to;
    my $text = do { local $/; <$from> };
    waitpid($child, 0);
    return $text if defined $text && $text ne '';
    return json({ died => $? & 127, code => $? >> 8 });
}

sub main {
    my ($nonce, @wanted) = @_;
    $| = 1;
    # The first process of a container ends by a signal only if it says so: nobody may have to wait for it.
    $SIG{$_} = sub { POSIX::_exit(124) } for qw(ALRM TERM INT);
    alarm 200;
    for my $asked (@wanted) {
        my ($name, $told) = split /=/, $asked, 2;
        my ($question, $seconds) = ref $Q{$name} eq 'ARRAY' ? @{ $Q{$name} } : ($Q{$name}, 10);
        my $line = $question ? answer_of($question, $seconds, $told) : json({ fault => 'there is no such question' });
        $line = json($line) if ref $line;
        print "$nonce $name $line\n";
    }
    print "$nonce end {}\n";
}
