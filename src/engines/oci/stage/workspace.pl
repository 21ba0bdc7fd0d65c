# The workspace, and the mounts that keep its protected paths as they are.
use strict;
use warnings;

my ($workspace_disk, $workspace_owner, $workshop, %sources);

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
# tools pass over one, and no reader hangs on it), or a file that says nothing to git. The workspace's owner owns it.
sub placeholder {
  my ($path, $kind) = @_;
  my ($folder, $name) = parent_of($path);
  my $type = $kind eq 'socket' ? S_IFSOCK : S_IFREG;
  my $made = $kind eq 'folder' ? call('mkdirat', $folder, $name, 0755) : call('mknodat', $folder, $name, $type | 0644, 0);
  return if $made != 0 && $! == EEXIST;
  $made == 0 or stop("workspace path $path");
  if ($kind eq 'commondir') {
    sysopen(my $file, "/proc/self/fd/$folder/$name", O_WRONLY | O_NOFOLLOW) or stop("workspace path $path");
    syswrite($file, ".\n") == 2 or stop("workspace path $path");
  }
  if (defined $workspace_owner) {
    call('fchownat', $folder, $name, @$workspace_owner, AT_SYMLINK_NOFOLLOW) == 0 or stop("workspace path $path");
  }
  call('close', $folder) if $folder != $workspace_disk;
}

sub workspace_operations {
  return (
    workspace => sub {
      my ($path, $uid, $gid) = @_;
      $workspace_disk = look(AT_FDCWD, $path, 0);
      $workspace_disk >= 0 or stop("workspace $path");
      $workspace_owner = [$uid + 0, $gid + 0] if defined $uid && $uid ne '';
    },
    placeholder => \&placeholder,
    # source NAME PATH UID_MAP GID_MAP: a file of ours that `cover` shows
    source => sub {
      my ($name, $path, $uid_map, $gid_map) = @_;
      my $fd = look(AT_FDCWD, $path, 0);
      $fd >= 0 or stop($path);
      $sources{$name} = [$fd, mapping_or_none($uid_map, $gid_map)];
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
    # workshop FOLDER: the workspace is mounted there first, until all in it is protected; it then moves as one tree, whose
    # inner mounts cannot be taken apart even by root in the sandbox's user namespace
    workshop => sub {
      ($workshop) = @_;
      my $target = look(AT_FDCWD, $workshop, 0);
      $target >= 0 or stop($workshop);
      my $row = tree_at('workspace');
      attach('workspace', $row->[1], $target);
      call('close', $target);
      $row->[1] = look(AT_FDCWD, $workshop, 0);
    },
  );
}

1;
