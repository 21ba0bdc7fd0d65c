# Starts a program as a careless caller might: in a terminal of its own, with a descriptor left open, or both; its exit code
# is ours. Arguments: ROWSxCOLUMNS or -, a file to leave open as descriptor 9 or -, PROGRAM ARGUMENT...
use strict; use warnings;
use POSIX ();

my ($size, $open, @command) = @ARGV;
my ($TIOCSPTLCK, $TIOCGPTN, $TIOCSWINSZ, $TIOCSCTTY) = (0x40045431, 0x80045430, 0x5414, 0x540e);
sub stop { print STDERR "start: $_[0]: $!\n"; POSIX::_exit(97) }

# What is opened from here on stays open in what is started, up to this number.
$^F = 9;
if ($open ne '-') {
    my $file = POSIX::open($open, POSIX::O_RDWR()) // stop($open);
    POSIX::dup2($file, 9) // stop($open);
    POSIX::close($file) if $file != 9;
}
if ($size eq '-') { no warnings; exec { $command[0] } @command; stop($command[0]) }

my ($rows, $columns) = split /x/, $size;
my $master = POSIX::open('/dev/ptmx', POSIX::O_RDWR() | POSIX::O_NOCTTY()) // stop('/dev/ptmx');
open(my $terminal, '+<&=', $master) or stop('/dev/ptmx');
my ($unlocked, $number, $window) = (pack('i', 0), pack('i', 0), pack('S4', $rows, $columns, 0, 0));
ioctl($terminal, $TIOCSPTLCK, $unlocked) && ioctl($terminal, $TIOCGPTN, $number) or stop('terminal');
ioctl($terminal, $TIOCSWINSZ, $window) or stop('size');
my $child = fork // stop('fork');
if ($child == 0) {
    POSIX::setsid();
    my $end = POSIX::open('/dev/pts/' . unpack('i', $number), POSIX::O_RDWR()) // stop('terminal');
    open(my $own, '+<&=', $end); my $force = 0; ioctl($own, $TIOCSCTTY, $force);
    POSIX::dup2($end, $_) for 0 .. 2;
    POSIX::close($end); POSIX::close($master);
    no warnings; exec { $command[0] } @command; stop($command[0]);
}
# Keys come on standard input, what is shown goes to standard output; the terminal is there as long as it is looked at.
my ($typing, $showing) = (1, 1);
while ($showing) {
    my $wait = ''; vec($wait, $master, 1) = 1; vec($wait, 0, 1) = 1 if $typing;
    select($wait, undef, undef, undef) > 0 or next;
    my $bytes;
    if (vec($wait, $master, 1)) { $showing = sysread($terminal, $bytes, 65536) and syswrite(STDOUT, $bytes) }
    if ($typing && vec($wait, 0, 1)) { $typing = sysread(STDIN, $bytes, 4096) and syswrite($terminal, $bytes) }
}
waitpid($child, 0);
POSIX::_exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
