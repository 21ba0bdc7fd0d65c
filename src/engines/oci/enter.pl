# Enters the user namespace around a sandbox's own, where its ordinary user is root, and becomes the container runtime:
# what the runtime keeps for the sandbox belongs to ids that exist only there. Arguments: PID PROGRAM ARGUMENT...
use strict;
use warnings;
use Fcntl qw(:DEFAULT);
use POSIX ();

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-enter: $subject: $!\n";
  POSIX::_exit(97);
}

my ($pid, @command) = @ARGV;
my $NS_GET_PARENT = 0xb702;
my $setns = (POSIX::uname())[4] eq 'aarch64' ? 268 : 308;
sysopen(my $inner, "/proc/$pid/ns/user", O_RDONLY) or stop('user namespace');
my $outer = ioctl($inner, $NS_GET_PARENT, 0) or stop('outer user namespace');
syscall($setns, $outer + 0, 0) == 0 or stop('outer user namespace');
POSIX::close($outer + 0);
{ no warnings; exec { $command[0] } @command }
stop($command[0]);
