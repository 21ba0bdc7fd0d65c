# System calls by name, for the parts of stage.pl, and how this program stops. No module is loaded: loading POSIX takes longer
# than all the rest.
use strict;
use warnings;

my %all = (
  x64 => {
    close => 3, prctl => 157, mount => 165, sethostname => 170, mkdirat => 258, mknodat => 259, fchownat => 260, unshare => 272,
    prlimit64 => 302, setns => 308,
  },
  arm64 => {
    close => 57, prctl => 167, mount => 40, sethostname => 161, mkdirat => 34, mknodat => 33, fchownat => 54, unshare => 97,
    prlimit64 => 261, setns => 268,
  },
);
my %nr = (
  %{ $all{ $ARGV[0] // '' } // {} }, pidfd_send_signal => 424, open_tree => 428, move_mount => 429, fsopen => 430, fsconfig => 431,
  fsmount => 432, fspick => 433, pidfd_open => 434, openat2 => 437, mount_setattr => 442,
);

use constant {
  CLONE_NEWNS => 0x20000, CLONE_NEWUSER => 0x10000000, NS_GET_PARENT => 0xb702,
  MS_NOSUID => 2, MS_NODEV => 4, MS_NOEXEC => 8, MS_REMOUNT => 32, MS_REC => 0x4000, MS_SLAVE => 0x80000, MS_SHARED => 0x100000,
  AT_FDCWD => -100, AT_SYMLINK_NOFOLLOW => 0x100, AT_EMPTY_PATH => 0x1000,
  OPEN_TREE_CLONE => 1, MOVE_MOUNT_BOTH_EMPTY => 0x44,
  ATTR_RDONLY => 1, ATTR_NOSUID => 2, ATTR_NODEV => 4, ATTR_NOEXEC => 8, ATTR_NOATIME => 0x10, ATTR_IDMAP => 0x100000,
  RESOLVE_NO_MAGICLINKS => 2, RESOLVE_NO_SYMLINKS => 4, RESOLVE_BENEATH => 8, RESOLVE_IN_ROOT => 16,
  FS_FLAG => 0, FS_STRING => 1, FS_CREATE => 6, FS_RECONFIGURE => 7, FSPICK_NOFOLLOW => 3,
  LOOP_CONFIGURE => 0x4c0a, LOOP_CTL_GET_FREE => 0x4c82, LO_FLAGS_AUTOCLEAR => 4,
  O_WRONLY => 1, O_RDWR => 2, O_CREAT => 0100, O_EXCL => 0200, O_PATH => 0x200000, O_CLOEXEC => 0x80000,
  S_IFMT => 0170000, S_IFDIR => 0040000, S_IFREG => 0100000, S_IFLNK => 0120000, S_IFSOCK => 0140000,
  EBUSY => 16, EEXIST => 17, ELOOP => 40,
};
use constant O_NOFOLLOW => ($ARGV[0] // '') eq 'arm64' ? 0100000 : 0400000;

sub is_known_machine { return exists $all{ $ARGV[0] // '' } }

# The first process of a container that waits for its sandbox, as a descriptor: no other process can take its place. It ends if
# this program stops.
my $held;

sub held { return $held }

sub hold_process { ($held) = @_ }

sub end_held {
  my $none = 0;
  call('pidfd_send_signal', $held, 9, $none, 0) if defined $held;
}

# Answers are "casemate-stage: <subject>: <what>"; exit code 97 tells them from the runtime's own failures.
sub stop {
  my ($subject, $what) = @_;
  $what = defined $what ? $what : "$!";
  end_held();
  print STDERR "casemate-stage: $subject: $what\n";
  exit 97;
}

sub call {
  my ($name, @arguments) = @_;
  return syscall($nr{$name}, @arguments);
}

# Signal $signal (0: none) when the caller dies.
sub end_with_caller {
  my ($signal) = @_;
  call('prctl', 1, $signal, 0, 0, 0) == 0 && getppid() == $ARGV[1] or stop('caller', 'has ended');
}

# An O_PATH descriptor of $path below $at; no component may be a symbolic link. -1 and $! when there is none.
sub look {
  my ($at, $path, $beneath) = @_;
  my $how = pack('QQQ', O_PATH | O_CLOEXEC | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | ($beneath ? RESOLVE_BENEATH : 0));
  my $fd = call('openat2', $at, $path, $how, length $how);
  return $fd;
}

# Type bits of what an O_PATH descriptor shows.
sub type_of {
  my ($fd) = @_;
  my @stat = stat("/proc/self/fd/$fd") or stop("descriptor $fd");
  return $stat[2] & S_IFMT;
}

1;
