# What another engine cannot be asked for: done to a container that it made.
use strict;
use warnings;

# An ordinary user may do in a user namespace of its own what root may, and in all below it: the one nearest to us is entered.
my $has_joined;

sub join_users {
  my ($pid) = @_;
  return if $> == 0 || $has_joined;
  sysopen(my $users, "/proc/$pid/ns/user", 0) or stop('user namespace');
  my $own = (stat '/proc/self/ns/user')[1];
  while (1) {
    my $number = ioctl($users, NS_GET_PARENT, 0);
    last unless $number;
    open(my $above, '<&=', $number + 0) or stop('user namespace');
    last if (stat $above)[1] == $own;
    $users = $above;
  }
  call('setns', fileno($users), CLONE_NEWUSER) == 0 or stop('user namespace');
  $has_joined = 1;
}

sub other_engine_operations {
  return (
    # inside PID: enters its mount namespace, where paths are the container's from now on
    inside => sub {
      my ($pid) = @_;
      sysopen(my $namespace, "/proc/$pid/ns/mnt", 0) or stop('mount namespace');
      join_users($pid);
      call('setns', fileno($namespace), CLONE_NEWNS) == 0 or stop('mount namespace');
    },
    # restrict PATH: what is mounted there gives nobody ids or devices, and shows nothing that the host mounts there later
    # (MS_PRIVATE)
    restrict => sub {
      my ($path) = @_;
      my $attributes = pack('QQQQ', ATTR_NOSUID | ATTR_NODEV, 0, 1 << 18, 0);
      call('mount_setattr', AT_FDCWD, $path, AT_SYMLINK_NOFOLLOW, $attributes, length $attributes) == 0 or stop("mount at $path");
    },
    # name PID NAME: what the host is called in the namespace of that process
    name => sub {
      my ($pid, $name) = @_;
      sysopen(my $names, "/proc/$pid/ns/uts", 0) or stop('hostname');
      join_users($pid);
      call('setns', fileno($names), 0) == 0 or stop('hostname');
      call('sethostname', $name, length $name) == 0 or stop('hostname');
    },
    # limit PATH OPTIONS ALL: the file system that is mounted there gets all these options; it has no programs, and no devices but
    # where ALL is empty
    limit => sub {
      my ($path, $options, $all) = @_;
      my $none = 'none';
      my $flags = MS_REMOUNT | MS_NOSUID | MS_NOEXEC | ($all eq '' ? 0 : MS_NODEV);
      call('mount', $none, $path, $none, $flags, $options) == 0 or stop("limit at $path");
    },
    # bound PATH FILES: so many files at most in the memory that is mounted there
    bound => sub {
      my ($path, $files) = @_;
      my ($key, $value, $null) = ('nr_inodes', "$files", 0);
      my $context = call('fspick', AT_FDCWD, $path, FSPICK_NOFOLLOW);
      $context >= 0 or stop("memory at $path");
      call('fsconfig', $context, FS_STRING, $key, $value, 0) == 0 && call('fsconfig', $context, FS_RECONFIGURE, $null, $null, 0) == 0
        or stop("memory at $path");
      call('close', $context);
    },
  );
}

1;
