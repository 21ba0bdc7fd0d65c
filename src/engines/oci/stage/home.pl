# A home of limited size: the file system in a file, on a loop device of its own, and what a fresh one is filled with.
use strict;
use warnings;

my $loop_number;

# A block device for a file, which goes with its last mount. Two at once would destroy the file system in the file.
sub loop_device {
  my ($image) = @_;
  for (1 .. 200) {
    last unless is_backing($image);
    stop("home $image", 'is still in use') if $_ == 200;
    select(undef, undef, undef, 0.05);
  }
  sysopen(my $file, $image, O_RDWR | O_NOFOLLOW) or stop("home $image");
  sysopen(my $control, '/dev/loop-control', O_RDWR) or stop('/dev/loop-control');
  for (1 .. 50) {
    my $number = ioctl($control, LOOP_CTL_GET_FREE, 0);
    defined $number or stop('loop device');
    $number += 0;
    sysopen(my $device, "/dev/loop$number", O_RDWR) or stop("/dev/loop$number");
    # struct loop_config: file, block size, struct loop_info64 with flags and name, reserved
    my $config = pack('IIQ5I4a64a64a32Q2Q8', fileno($file), 0, (0) x 5, $number, 0, 0, LO_FLAGS_AUTOCLEAR, $image, '', '', (0) x 10);
    if (ioctl($device, LOOP_CONFIGURE, $config)) {
      $loop_number = $number;
      return $device;
    }
    # Somebody else took it in between.
    $! == EBUSY or stop("/dev/loop$number");
  }
  stop('loop device', 'none was free');
}

sub is_backing {
  my ($image) = @_;
  opendir(my $blocks, '/sys/block') or return 0;
  for my $name (grep { /^loop\d+$/ } readdir $blocks) {
    open(my $backing, '<', "/sys/block/$name/loop/backing_file") or next;
    my $path = <$backing> // '';
    chomp $path;
    return 1 if $path eq $image;
  }
  return 0;
}

# The ext4 file system of the loop device as a mount attached nowhere.
sub file_system {
  my ($type, $key, $path, $null) = ('ext4', 'source', "/dev/loop$loop_number", 0);
  my $context = call('fsopen', $type, 1);
  $context >= 0 or stop('ext4', "$! (fsopen)");
  call('fsconfig', $context, FS_STRING, $key, $path, 0) == 0 or stop('ext4', "$! (source)");
  # No background writing of unused tables into the sparse file; freed blocks go back to the host.
  for my $option ('noinit_itable', 'discard') {
    call('fsconfig', $context, FS_FLAG, $option, $null, 0) == 0 or stop('ext4', "$! ($option)");
  }
  call('fsconfig', $context, FS_CREATE, $null, $null, 0) == 0 or stop('ext4', "$! (mount)");
  my $tree = call('fsmount', $context, 1, ATTR_NOSUID | ATTR_NODEV | ATTR_NOATIME);
  $tree >= 0 or stop('ext4', "$! (fsmount)");
  call('close', $context);
  return $tree;
}

# Folders, files and links as they are; no link is followed.
sub copy_into {
  my ($from, $to) = @_;
  opendir(my $folder, $from) or stop("home $from");
  for my $name (grep { !/^\.\.?$/ } readdir $folder) {
    my ($source, $target) = ("$from/$name", "$to/$name");
    my ($type, $mode, $uid, $gid) = do { my @stat = lstat $source or stop("home $source"); ($stat[2] & S_IFMT, $stat[2] & 07777, @stat[4, 5]) };
    if ($type == S_IFLNK) {
      symlink readlink $source, $target or stop("home $source");
      call('fchownat', AT_FDCWD, $target, $uid, $gid, AT_SYMLINK_NOFOLLOW) == 0 or stop("home $source");
      next;
    }
    if ($type == S_IFDIR) {
      mkdir $target, 0700 or stop("home $source");
      copy_into($source, $target);
    } elsif ($type == S_IFREG) {
      copy_file($source, $target);
    } else {
      stop("home $source", 'is neither a file nor a folder');
    }
    chown $uid, $gid, $target or stop("home $source");
    chmod $mode, $target or stop("home $source");
  }
}

sub copy_file {
  my ($source, $target) = @_;
  sysopen(my $in, $source, O_NOFOLLOW) or stop("home $source");
  sysopen(my $out, $target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600) or stop("home $source");
  while (1) {
    my $count = sysread $in, my $piece, 1 << 18;
    defined $count or stop("home $source");
    last if $count == 0;
    (syswrite($out, $piece) // -1) == $count or stop("home $source");
  }
}

sub home_operations {
  return (
    # disk IMAGE FOLDER FRESH: mounts a file system of ours in this mount namespace; with its last mount its device goes
    disk => sub {
      my ($image, $folder, $fresh) = @_;
      my $device = loop_device($image);
      my $tree = file_system();
      my $target = look(AT_FDCWD, $folder, 0);
      $target >= 0 or stop("home $image");
      attach("home $image", $tree, $target);
      call('close', $_) for $tree, $target;
      close $device;
      rmdir "$folder/lost+found" if $fresh;
    },
    # fill FOLDER HOME: copies what lies in HOME, which is ours, into the blank file system at FOLDER
    fill => sub { copy_into($_[1], $_[0]) },
  );
}

1;
