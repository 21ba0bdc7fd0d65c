# Runs inside a sandbox, ours or another: puts questions to the kernel and prints one line of JSON for each answer, behind
# a nonce. Only perl-base is needed. Each question is a process of its own, so that one which is killed for asking is told
# of and ends nobody else. Nothing here changes anything: every call is made with arguments that cannot succeed, or is undone.
use strict; use warnings; no warnings qw(once);
use POSIX ();
use Errno ();

our (%Q, %NAME, $X86);
$X86 = (POSIX::uname())[4] eq 'x86_64';
for my $name (@Errno::EXPORT_OK) { my $code = Errno->can($name); $NAME{$code->()} //= $name if $code }

sub errname { my $code = $! + 0; return $code == 0 ? 'OK' : $NAME{$code} // "E$code" }
# the answer of one attempt: DONE or the name of the errno
sub tried(&) { my $work = shift; local $! = 0; my $done = eval { $work->() }; return $done ? 'DONE' : errname() }

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

# Answers of one question, by a child that may die of it; at most as long as said.
sub answer_of {
    my ($question, $seconds) = @_;
    pipe(my $from, my $to) or return { fault => 'no pipe: ' . errname() };
    my $child = fork;
    return { fault => 'no process: ' . errname() } unless defined $child;
    if ($child == 0) {
        close $from;
        alarm $seconds;
        my $answer = eval { $question->() };
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
    for my $name (@wanted) {
        my ($question, $seconds) = ref $Q{$name} eq 'ARRAY' ? @{ $Q{$name} } : ($Q{$name}, 10);
        my $line = $question ? answer_of($question, $seconds) : json({ fault => 'there is no such question' });
        $line = json($line) if ref $line;
        print "$nonce $name $line\n";
    }
    print "$nonce end {}\n";
}
