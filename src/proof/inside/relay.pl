# Runs inside a sandbox: carries TCP connections between this program's streams and addresses as the sandbox sees them, so
# that whoever holds the streams speaks from inside. Frames both ways: one letter, id and length (32 bits, network order),
# payload. In: O host port (open), D data, E end of writing, C close, L host (look up). Out: K open, F errno, D data,
# E end, A answer of a look-up (addresses, or what failed), each with the id it came with.
use strict; use warnings;
use Errno ();
use Fcntl ();

my (%socket, %out, %ended, $in, $up) = ();
$in = $up = '';
my %name; for my $one (sort @Errno::EXPORT_OK) { my $code = Errno->can($one); $name{$code->()} //= $one if $code }
binmode STDIN; binmode STDOUT;
$SIG{PIPE} = 'IGNORE';
for my $handle (\*STDIN, \*STDOUT) { fcntl($handle, Fcntl::F_SETFL(), fcntl($handle, Fcntl::F_GETFL(), 0) | Fcntl::O_NONBLOCK()) }

sub say_up { my ($kind, $id, $payload) = @_; $up .= pack('a N N', $kind, $id, length($payload // '')) . ($payload // '') }

sub drop { my $id = shift; close $socket{$id} if $socket{$id}; delete $socket{$id}; delete $out{$id}; delete $ended{$id} }

sub begin {
    my ($id, $host, $port) = @_;
    my $packed = $host =~ /^\d+\.\d+\.\d+\.\d+$/ ? pack('C4', split /\./, $host) : scalar gethostbyname($host);
    return say_up('F', $id, 'ENOTFOUND') unless defined $packed && length $packed == 4;
    socket(my $new, 2, 1, 0) or return say_up('F', $id, $name{$! + 0} // 'EFAULT');
    connect($new, pack('S n a4 x8', 2, $port, $packed)) or return say_up('F', $id, $name{$! + 0} // 'EFAULT');
    fcntl($new, Fcntl::F_SETFL(), fcntl($new, Fcntl::F_GETFL(), 0) | Fcntl::O_NONBLOCK());
    $socket{$id} = $new; $out{$id} = '';
    say_up('K', $id);
}

sub look_up {
    my ($id, $host) = @_;
    my (undef, undef, undef, undef, @found) = gethostbyname($host);
    say_up('A', $id, @found ? join(' ', map { join('.', unpack('C4', $_)) } @found) : 'none');
}

sub obey {
    my ($kind, $id, $payload) = @_;
    if ($kind eq 'O') { begin($id, split(/ /, $payload)) }
    elsif ($kind eq 'L') { look_up($id, $payload) }
    elsif ($kind eq 'D') { $out{$id} .= $payload if exists $out{$id} }
    elsif ($kind eq 'E') { $ended{$id} = 1 if exists $out{$id} }
    elsif ($kind eq 'C') { drop($id) }
}

while (1) {
    my ($reads, $writes) = ('', '');
    vec($reads, fileno(STDIN), 1) = 1;
    vec($writes, fileno(STDOUT), 1) = 1 if length $up;
    for my $id (keys %socket) {
        vec($reads, fileno($socket{$id}), 1) = 1 if length $up < 1 << 20;
        vec($writes, fileno($socket{$id}), 1) = 1 if length $out{$id} || defined $ended{$id} && $ended{$id} == 1;
    }
    select($reads, $writes, undef, undef) or next;
    if (vec($reads, fileno(STDIN), 1)) {
        my $got = sysread(STDIN, $in, 65536, length $in);
        exit 0 if defined $got && $got == 0;
        while (length $in >= 9) {
            my ($kind, $id, $length) = unpack('a N N', $in);
            last if length $in < 9 + $length;
            my $payload = substr($in, 9, $length);
            substr($in, 0, 9 + $length) = '';
            obey($kind, $id, $payload);
        }
    }
    if (length $up && vec($writes, fileno(STDOUT), 1)) { my $put = syswrite(STDOUT, $up); substr($up, 0, $put) = '' if $put }
    for my $id (keys %socket) {
        my $one = $socket{$id};
        if (vec($writes, fileno($one), 1)) {
            if (length $out{$id}) {
                my $put = syswrite($one, $out{$id});
                if (defined $put) { substr($out{$id}, 0, $put) = '' } elsif (!$!{EAGAIN}) { say_up('F', $id, $name{$! + 0}); drop($id); next }
            } elsif ($ended{$id}) { shutdown($one, 1); $ended{$id} = 2 }
        }
        if (vec($reads, fileno($one), 1)) {
            my $got = sysread($one, my $bytes, 65536);
            if (!defined $got) { next if $!{EAGAIN}; say_up('F', $id, $name{$! + 0}); drop($id) }
            elsif ($got == 0) { say_up('E', $id); drop($id) }
            else { say_up('D', $id, $bytes) }
        }
    }
}
