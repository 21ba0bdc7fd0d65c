# Runs a program at a terminal made for it, as a person does who types a command: it is standard input and the controlling
# terminal. Afterwards prints one line: a word, then what was typed into the terminal meanwhile, and what came of typing
# something ourselves, each in hex or the name of an error. Arguments: the word, the program and its arguments.
use strict; use warnings;
use POSIX ();
my ($word, @command) = @ARGV;
my ($UNLOCK, $NUMBER, $CONTROL, $TYPE) = (0x40045431, 0x80045430, 0x540e, 0x5412);
$| = 1;
open(my $main, '+<', '/dev/ptmx') or die "no terminal: $!\n";
my ($unlock, $number) = (pack('l', 0), pack('l', 0));
ioctl($main, $UNLOCK, $unlock) && ioctl($main, $NUMBER, $number) or die "no terminal: $!\n";
my $path = '/dev/pts/' . unpack('l', $number);

# Single letters, unseen, as soon as they are typed; a tool may have set it otherwise meanwhile.
sub raw {
    my $fd = fileno $_[0]; my $mode = POSIX::Termios->new;
    $mode->getattr($fd) // die "no terminal: $!\n";
    $mode->setlflag($mode->getlflag & ~(POSIX::ICANON() | POSIX::ECHO() | POSIX::ISIG()));
    $mode->setcc(POSIX::VMIN(), 0); $mode->setcc(POSIX::VTIME(), 0);
    $mode->setattr($fd, POSIX::TCSANOW());
}
sub typed { sysread($_[0], my $text, 4096); return ($text // '') eq '' ? '-' : unpack 'H*', $text }

my $session = fork // die "no process: $!\n";
if ($session == 0) {
    POSIX::setsid();
    open(my $side, '+<', $path) or die "no terminal: $!\n";
    ioctl($side, $CONTROL, 0);
    raw($side);
    my $child = fork // die "no process: $!\n";
    if ($child == 0) { open(STDIN, '<&', $side) or die "no terminal: $!\n"; exec { $command[0] } @command or die "$command[0]: $!\n" }
    waitpid($child, 0); my $end = $?;
    $SIG{HUP} = 'IGNORE';
    raw($side);
    my $theirs = typed($side);
    my $fault;
    for my $letter (split //, 'own') { ioctl($side, $TYPE, $letter) or $fault //= $!{EIO} ? 'EIO' : $!{EPERM} ? 'EPERM' : "$!" }
    print "\n$word $theirs ", $fault // typed($side), "\n";
    POSIX::_exit($end & 127 ? 128 + ($end & 127) : $end >> 8);
}
waitpid($session, 0);
exit($? >> 8);
