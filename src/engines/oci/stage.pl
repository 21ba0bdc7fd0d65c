# The one hand that makes mounts: Node has no open_tree, openat2 or mount_setattr. Reads a plan from standard input, builds
# the stage inside a private mount namespace, and has the container runtime make a container of it: it either becomes the
# runtime, or starts it and hands in the mounts that belong to one sandbox while it works or after it. After a kill -9
# nothing stays mounted. One operation a line, fields separated by tabs and percent-escaped (see stage-plan.ts); the last
# one makes the plan whole. The plan may come much later, or never. Arguments: x64|arm64, the process id of the caller. No
# module is loaded: loading POSIX takes longer than all the rest.
use strict;
use warnings;

my ($machine, $caller) = @ARGV;
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
my $numbers = $all{ $machine // '' } or stop('machine', 'is not supported');
my %nr = (
  %$numbers, pidfd_send_signal => 424, open_tree => 428, move_mount => 429, fsopen => 430, fsconfig => 431, fsmount => 432,
  fspick => 433,  pidfd_open => 434, openat2 => 437, mount_setattr => 442,
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
my $O_NOFOLLOW = $machine eq 'arm64' ? 0100000 : 0400000;

# Host process of a container that waits for its sandbox, as a descriptor that no other process can take the place of.
my $held;

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

# An O_PATH descriptor of $path below $at; no component may be a symbolic link. -1 and $! when there is none.
sub look {
  my ($at, $path, $beneath) = @_;
  my $how = pack('QQQ', O_PATH | O_CLOEXEC | $O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | ($beneath ? RESOLVE_BENEATH : 0));
  my $fd = call('openat2', $at, $path, $how, length $how);
  return $fd;
}

# Type bits of what an O_PATH descriptor shows.
sub type_of {
  my ($fd) = @_;
  my @stat = stat("/proc/self/fd/$fd") or stop("descriptor $fd");
  return $stat[2] & S_IFMT;
}

# A descriptor of a user namespace with this mapping, for a mapped mount. Made once for each mapping.
my %mapped;
sub mapping {
  my ($uid_map, $gid_map) = @_;
  my $key = "$uid_map|$gid_map";
  return fileno($mapped{$key}) if $mapped{$key};
  pipe(my $ready_out, my $ready_in) or stop('pipe');
  pipe(my $go_out, my $go_in) or stop('pipe');
  my $child = fork();
  defined $child or stop('fork');
  if ($child == 0) {
    close $go_in;
    call('unshare', CLONE_NEWUSER) == 0 or stop('user namespace');
    syswrite $ready_in, 'x';
    sysread $go_out, my $byte, 1;
    exit 0;
  }
  close $ready_in;
  sysread($ready_out, my $byte, 1) == 1 or exit 97;
  for (['uid_map', $uid_map], ['gid_map', $gid_map]) {
    my ($file, $map) = @$_;
    sysopen(my $handle, "/proc/$child/$file", O_WRONLY) or stop($file);
    defined syswrite($handle, $map) or stop($file);
    close $handle;
  }
  sysopen(my $namespace, "/proc/$child/ns/user", 0) or stop('user namespace');
  close $go_in;
  waitpid $child, 0;
  $mapped{$key} = $namespace;
  return fileno($namespace);
}

# A copy of the one mount at $fd, with its flags, mapping and propagation set, attached nowhere yet.
sub copy_of {
  my ($subject, $fd, $flags, $namespace, $propagation) = @_;
  my $empty = '';
  my $tree = call('open_tree', $fd, $empty, OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
  $tree >= 0 or stop($subject, "$! (open_tree)");
  my $set = $flags | (defined $namespace ? ATTR_IDMAP : 0);
  my $attributes = pack('QQQQ', $set, 0, $propagation // 0, defined $namespace ? $namespace : 0);
  call('mount_setattr', $tree, $empty, AT_EMPTY_PATH, $attributes, length $attributes) == 0
    or stop($subject, "$! (mount_setattr" . (defined $namespace ? ': its file system may not support mapped mounts)' : ')'));
  return $tree;
}

sub attach {
  my ($subject, $tree, $target) = @_;
  my ($from, $to) = ('', '');
  call('move_mount', $tree, $from, $target, $to, MOVE_MOUNT_BOTH_EMPTY) == 0 or stop($subject, "$! (move_mount)");
  # A workspace can have thousands of protected names, and this process about a thousand descriptors.
  call('close', $tree);
}

# Makes this process root of a user namespace of its own: 0 is the caller, 1 and up are the caller's subordinate ids.
sub become_mapped {
  my ($uid, $gid, $sub_uid, $uid_count, $sub_gid, $gid_count) = @_;
  my $self = $$;
  pipe(my $go_out, my $go_in) or stop('pipe');
  my $child = fork();
  defined $child or stop('fork');
  if ($child == 0) {
    close $go_in;
    sysread($go_out, my $byte, 1) == 1 or exit 97;
    system('newuidmap', $self, 0, $uid, 1, 1, $sub_uid, $uid_count) == 0 or stop('newuidmap', 'failed; is the package uidmap installed?');
    system('newgidmap', $self, 0, $gid, 1, 1, $sub_gid, $gid_count) == 0 or stop('newgidmap', 'failed; is the package uidmap installed?');
    exit 0;
  }
  call('unshare', CLONE_NEWUSER | CLONE_NEWNS) == 0 or stop('user namespace');
  syswrite $go_in, 'x';
  waitpid $child, 0;
  $? == 0 or exit 97;
}

sub flags_of {
  my ($flags) = @_;
  return ATTR_NOSUID | ATTR_NODEV | ($flags =~ /r/ ? ATTR_RDONLY : 0) | ($flags =~ /x/ ? ATTR_NOEXEC : 0);
}

sub mapping_or_none {
  my ($uid_map, $gid_map) = @_;
  return defined $uid_map && $uid_map ne '' ? mapping($uid_map, $gid_map) : undef;
}

my (@trees, %sources, $loop_number, $stage, $workspace_disk, $workspace_owner, $workshop, $runtime);

# A path of the sandbox; links of the image lead nowhere but into the image.
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

sub look_inside {
  my ($path) = @_;
  my $root = look(AT_FDCWD, $stage, 0);
  $root >= 0 or stop($stage);
  my $how = pack('QQQ', O_PATH | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  my $fd = call('openat2', $root, $path, $how, length $how);
  my $error = $!;
  call('close', $root);
  $! = $error;
  return $fd;
}

# A path of the workspace as it is mounted, past no symbolic link.
sub look_in_workspace {
  my ($path) = @_;
  my $top = defined $workshop ? look(AT_FDCWD, $workshop, 0) : look_inside('workspace');
  $top >= 0 or stop('workspace');
  my $fd = look($top, $path, 1);
  $fd >= 0 or stop("protected path $path", $! == ELOOP ? 'is or lies behind a symbolic link' : "$!");
  call('close', $top);
  return $fd;
}

# Opens the folder above $path and answers its descriptor and the last name.
sub parent_of {
  my ($path) = @_;
  my ($folder, $name) = $path =~ m{^(?:(.*)/)?([^/]+)$};
  return ($workspace_disk, $name) unless defined $folder;
  my $fd = look($workspace_disk, $folder, 1);
  $fd >= 0 or stop("workspace path $folder");
  return ($fd, $name);
}

# A placeholder keeps the name of an absent protected path taken: a folder, or a socket nobody listens on (git and most
# tools pass over one, and no reader hangs on it), or git's own way to say nothing. The workspace's owner owns it.
sub placeholder {
  my ($path, $kind) = @_;
  my ($folder, $name) = parent_of($path);
  my $type = $kind eq 'socket' ? S_IFSOCK : S_IFREG;
  my $made = $kind eq 'folder' ? call('mkdirat', $folder, $name, 0755) : call('mknodat', $folder, $name, $type | 0644, 0);
  return if $made != 0 && $! == EEXIST;
  $made == 0 or stop("workspace path $path");
  if ($kind eq 'commondir') {
    sysopen(my $file, "/proc/self/fd/$folder/$name", O_WRONLY | $O_NOFOLLOW) or stop("workspace path $path");
    syswrite($file, ".\n") == 2 or stop("workspace path $path");
  }
  if (defined $workspace_owner) {
    call('fchownat', $folder, $name, @$workspace_owner, AT_SYMLINK_NOFOLLOW) == 0 or stop("workspace path $path");
  }
  call('close', $folder) if $folder != $workspace_disk;
}

# A block device for a file, which goes with its last mount. Two at once would destroy the file system in the file.
sub loop_device {
  my ($image) = @_;
  for (1 .. 200) {
    last unless is_backing($image);
    stop("home $image", 'is still in use') if $_ == 200;
    select(undef, undef, undef, 0.05);
  }
  sysopen(my $file, $image, O_RDWR | $O_NOFOLLOW) or stop("home $image");
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
  sysopen(my $in, $source, $O_NOFOLLOW) or stop("home $source");
  sysopen(my $out, $target, O_WRONLY | O_CREAT | O_EXCL | $O_NOFOLLOW, 0600) or stop("home $source");
  while (1) {
    my $count = sysread $in, my $piece, 1 << 18;
    defined $count or stop("home $source");
    last if $count == 0;
    (syswrite($out, $piece) // -1) == $count or stop("home $source");
  }
}

# The group of this process below the one hierarchy of cgroup v2.
sub own_group {
  open(my $file, '<', '/proc/self/cgroup') or stop('cgroup');
  my ($path) = map { /^0::(.*)$/ ? $1 : () } <$file>;
  defined $path or stop('cgroup', 'there is no unified hierarchy');
  return $path;
}

sub write_group {
  my ($path, $text) = @_;
  sysopen(my $file, "/sys/fs/cgroup$path", O_WRONLY) or stop("cgroup $path");
  defined syswrite($file, $text) or stop("cgroup $path");
}

my ($scope, @switched, @command, $held_names, $is_kept);

# The container's first process inherits these three: nothing of the host's terminals or pipes may stay open in it.
sub become_runtime {
  my @program = @_;
  open(STDIN, '<', '/dev/null') or stop('/dev/null');
  open(STDOUT, '>', '/dev/null') or stop('/dev/null');
  open(STDERR, '>', '/dev/null') or stop('/dev/null');
  { no warnings; exec { $program[0] } @program }
  exit 98;
}

my %operations = (
  # group CONTROLLER...: this process is in a scope of its own. It moves into a group below, because a group with
  # processes cannot pass controllers on, and switches on those that the scope was given.
  group => sub {
    my %wanted = map { $_ => 1 } @_;
    $scope = own_group();
    $scope =~ m{/casemate-[^/]+\.scope$} or stop('cgroup', "$scope is no scope of ours");
    mkdir "/sys/fs/cgroup$scope/start" or stop("cgroup $scope/start");
    write_group("$scope/start/cgroup.procs", $$);
    open(my $given, '<', "/sys/fs/cgroup$scope/cgroup.controllers") or stop("cgroup $scope");
    @switched = grep { $wanted{$_} } map { split } <$given>;
    write_group("$scope/cgroup.subtree_control", join ' ', map { "+$_" } @switched) if @switched;
  },
  # groups: answers what `group` found
  groups => sub {
    my $swap = -e "/sys/fs/cgroup$scope/start/memory.swap.max" ? 'swap' : '-';
    print join("\t", $scope, "@switched", $swap), "\n";
  },
  # become PROGRAM ARGUMENT...: the last line, without which nothing is started
  become => sub { @command = @_ },
  user => sub { become_mapped(map { $_ + 0 } @_) },
  root => sub { call('unshare', CLONE_NEWNS) == 0 or stop('mount namespace') },
  # stage PATH: where the root of the sandbox appears, in this mount namespace only
  stage => sub {
    my ($none, $slash, $nothing) = ('none', '/', '');
    call('mount', $none, $slash, $nothing, MS_REC | MS_SLAVE, 0) == 0 or stop('mount namespace');
    # When the caller dies this ends too, and so does the runtime after it: a container made later would have no owner.
    # Only here, because a new user namespace takes the request back.
    call('prctl', 1, 9, 0, 0, 0) == 0 && getppid() == $caller or stop('caller', 'has ended');
    ($stage) = @_;
  },
  workspace => sub {
    my ($path, $uid, $gid) = @_;
    $workspace_disk = look(AT_FDCWD, $path, 0);
    $workspace_disk >= 0 or stop("workspace $path");
    $workspace_owner = [$uid + 0, $gid + 0] if defined $uid && $uid ne '';
  },
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
  placeholder => \&placeholder,
  # tree TARGET SOURCE FLAGS UID_MAP GID_MAP: TARGET is a path of the sandbox, "." its root
  tree => sub {
    my ($target, $source, $flags, $uid_map, $gid_map) = @_;
    my $fd = look(AT_FDCWD, $source, 0);
    $fd >= 0 or stop($source);
    push @trees, [$target, copy_of($source, $fd, flags_of($flags), mapping_or_none($uid_map, $gid_map))];
  },
  # source NAME PATH UID_MAP GID_MAP: a file of ours that `cover` shows
  source => sub {
    my ($name, $path, $uid_map, $gid_map) = @_;
    my $fd = look(AT_FDCWD, $path, 0);
    $fd >= 0 or stop($path);
    $sources{$name} = [$fd, mapping_or_none($uid_map, $gid_map)];
  },
  # Only now: a source may lie below the stage's own path. The first tree is the root of all others.
  build => sub {
    for (splice @trees) {
      my ($target, $tree) = @$_;
      my $fd = $target eq '.' ? look(AT_FDCWD, $stage, 0) : look_inside($target);
      $fd >= 0 or stop($target eq '.' ? $stage : "the image's /$target");
      attach($target, $tree, $fd);
      call('close', $fd);
    }
  },
  # The runtime mounts in these folders; an image that leads it elsewhere is refused (CVE-2026-41579).
  image => sub {
    my $top = look(AT_FDCWD, $stage, 0);
    for my $folder ('dev', 'proc', 'run', 'tmp', 'var/tmp') {
      my $fd = look($top, $folder, 1);
      $fd >= 0 && type_of($fd) == S_IFDIR or stop("the image's /$folder", 'is not a folder');
      call('close', $fd);
    }
    call('close', $top);
  },
  # pin PATH FLAGS KIND: a mount of PATH onto itself, so that it can be neither renamed nor removed nor (r) written
  pin => sub {
    my ($path, $flags, $kind) = @_;
    my $fd = look_in_workspace($path);
    my $is_folder = type_of($fd) == S_IFDIR;
    $is_folder == ($kind eq 'folder') or stop("protected path $path", "is not a $kind");
    attach("protected path $path", copy_of($path, $fd, flags_of($flags), undef), $fd);
    call('close', $fd);
  },
  # cover PATH NAME: a file of ours is shown, read-only, in place of PATH
  cover => sub {
    my ($path, $name) = @_;
    my $fd = look_in_workspace($path);
    my ($source, $namespace) = @{ $sources{$name} };
    attach("protected path $path", copy_of($name, $source, flags_of('rx'), $namespace), $fd);
    call('close', $fd);
  },
);

# For a runtime that is started rather than become. What belongs to one sandbox is mounted over anchors: places in the image
# whose mounts the container's mount namespace follows, as long as this process keeps its own.
%operations = (
  %operations,
  # anchor TARGET: hides what the image has there, too
  anchor => sub {
    my ($target) = @_;
    my $fd = look_inside($target);
    $fd >= 0 or stop("the image's /$target");
    attach($target, copy_of($target, $fd, flags_of('rx'), undef, MS_SHARED), $fd);
    call('close', $fd);
  },
  # run PROGRAM ARGUMENT...: the runtime works while the rest of the plan is read
  run => sub {
    my @program = @_;
    my $self = $$;
    $runtime = fork();
    defined $runtime or stop('fork');
    return if $runtime != 0;
    call('prctl', 1, 9, 0, 0, 0) == 0 && getppid() == $self or stop('caller', 'has ended');
    become_runtime(@program);
  },
  # made: the container is there; a runtime that failed ends this with its own exit code
  made => sub {
    waitpid $runtime, 0;
    exit($? & 127 ? 128 + ($? & 127) : $? >> 8) if $?;
  },
  # mapping UID_MAP GID_MAP: made now, for trees to come: to start a process for it takes longer than to mount them
  mapping => sub { mapping(@_) },
  # hold PIDFILE: its first line has the first process, bare or as JSON; says so and waits for the sandbox that will take the container; if none does, its first process ends with us
  hold => sub {
    my ($file) = @_;
    open(my $handle, '<', $file) or stop($file);
    my ($pid) = (<$handle> // '') =~ /^(?:\{"pid":)?(\d+)/ or stop($file);
    my $descriptor = call('pidfd_open', $pid + 0, 0);
    $descriptor >= 0 or stop('first process');
    $held = $descriptor;
    sysopen($held_names, "/proc/$pid/ns/uts", 0) or stop('first process');
    # From here on the end of our input tells that the caller is gone, and there is something to do then.
    call('prctl', 1, 0, 0, 0, 0) == 0 && getppid() == $caller or stop('caller', 'has ended');
    syswrite STDOUT, "held\n";
  },
  # hostname NAME: of a container that was held
  hostname => sub {
    my ($name) = @_;
    call('setns', fileno($held_names), 0) == 0 or stop('hostname');
    call('sethostname', $name, length $name) == 0 or stop('hostname');
  },
  # workshop FOLDER: the workspace is mounted there first, until all in it is protected; it then moves as one tree, whose
  # inner mounts cannot be taken apart even by root in the sandbox's user namespace
  workshop => sub {
    ($workshop) = @_;
    my $target = look(AT_FDCWD, $workshop, 0);
    $target >= 0 or stop($workshop);
    my ($row) = grep { $_->[0] eq 'workspace' } @trees;
    attach('workspace', $row->[1], $target);
    call('close', $target);
    $row->[1] = look(AT_FDCWD, $workshop, 0);
  },
  # keep: the last line, without which what was made goes again
  keep => sub { ($held, $is_kept) = (undef, 1) },
);

# For a container that another engine made: what it cannot be asked for.
%operations = (
  %operations,
  # inside PID: enters its mount namespace, where paths are the container's from now on
  inside => sub {
    my ($pid) = @_;
    sysopen(my $namespace, "/proc/$pid/ns/mnt", 0) or stop('mount namespace');
    join_users($pid);
    call('setns', fileno($namespace), CLONE_NEWNS) == 0 or stop('mount namespace');
  },
  # restrict PATH: what is mounted there gives nobody ids or devices, and shows nothing that the host mounts there later (MS_PRIVATE)
  restrict => sub {
    my ($path) = @_;
    my $attributes = pack('QQQQ', ATTR_NOSUID | ATTR_NODEV, 0, 1 << 18, 0);
    call('mount_setattr', AT_FDCWD, $path, AT_SYMLINK_NOFOLLOW, $attributes, length $attributes) == 0 or stop("mount at $path");
  },
);

# name PID NAME: what the host is called in the namespace of that process
$operations{name} = sub {
  my ($pid, $name) = @_;
  sysopen(my $names, "/proc/$pid/ns/uts", 0) or stop('hostname');
  join_users($pid);
  call('setns', fileno($names), 0) == 0 or stop('hostname');
  call('sethostname', $name, length $name) == 0 or stop('hostname');
};

# limit PATH OPTIONS ALL: the file system that is mounted there gets all these options; it has no programs, and no devices but
# where ALL is empty
$operations{limit} = sub {
  my ($path, $options, $all) = @_;
  my $none = 'none';
  my $flags = MS_REMOUNT | MS_NOSUID | MS_NOEXEC | ($all eq '' ? 0 : MS_NODEV);
  call('mount', $none, $path, $none, $flags, $options) == 0 or stop("limit at $path");
};

# bound PATH FILES: so many files at most in the memory that is mounted there
$operations{bound} = sub {
  my ($path, $files) = @_;
  my ($key, $value, $null) = ('nr_inodes', "$files", 0);
  my $context = call('fspick', AT_FDCWD, $path, FSPICK_NOFOLLOW);
  $context >= 0 or stop("memory at $path");
  call('fsconfig', $context, FS_STRING, $key, $value, 0) == 0 && call('fsconfig', $context, FS_RECONFIGURE, $null, $null, 0) == 0
    or stop("memory at $path");
  call('close', $context);
};

# Probes: each really does what it asks about, in this short-lived process.
$operations{filter} = sub {
  my $allow = pack('SCCL', 0x06, 0, 0, 0x7fff0000);
  my $program = pack('Sx6J', 1, unpack('J', pack('P', $allow)));
  call('prctl', 38, 1, 0, 0, 0) == 0 or stop('no new privileges');
  call('prctl', 22, 2, $program, 0, 0) == 0 or stop('seccomp filter');
};
$operations{map} = sub { mapping("0 1879048192 65536\n", "0 1879048192 65536\n") };
$operations{processes} = sub {
  my ($none, $limit) = (0, pack('JJ', 1, 1));
  call('prlimit64', 0, 6, $limit, $none) == 0 or stop('process limit');
  my $child = fork();
  exit 0 if defined $child && $child == 0;
  stop('process limit', 'a second process was not refused') if defined $child;
};

while (my $line = <STDIN>) {
  # A caller that died while it wrote must not lead to a container without its mounts, made in the host's own.
  chomp $line or stop('plan', 'is cut');
  my ($operation, @fields) = map { s/%([0-9A-F]{2})/chr hex $1/ger } split /\t/, $line, -1;
  my $do = $operations{$operation} or stop('plan', "unknown operation $operation");
  $do->(@fields);
}

if (defined $runtime && !$is_kept) {
  end_held();
  exit 0 if defined $held;
  stop('plan', 'is cut');
}
# Nothing can fail from here on; to leave the mount namespace takes the kernel longer than all that was mounted in it.
syswrite STDOUT, "kept\n" if $is_kept;
exit 0 unless @command;
become_runtime(@command);
