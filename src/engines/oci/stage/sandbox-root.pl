# The stage: the sandbox's root file system with everything in its place, in this mount namespace only.
use strict;
use warnings;

my ($stage, @trees);

# A path of the sandbox; links of the image lead nowhere but into the image.
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

# The one mount that will appear at $target: a row of its target and its descriptor.
sub tree_at {
  my ($target) = @_;
  my ($row) = grep { $_->[0] eq $target } @trees;
  return $row;
}

sub root_operations {
  return (
    user => sub { become_mapped(map { $_ + 0 } @_) },
    root => sub { call('unshare', CLONE_NEWNS) == 0 or stop('mount namespace') },
    # stage PATH: where the root of the sandbox appears, in this mount namespace only
    stage => sub {
      my ($none, $slash, $nothing) = ('none', '/', '');
      call('mount', $none, $slash, $nothing, MS_REC | MS_SLAVE, 0) == 0 or stop('mount namespace');
      # When the caller dies this ends too, and so does the runtime after it: a container made later would have no owner.
      # Only here, because a new user namespace takes the request back.
      end_with_caller(9);
      ($stage) = @_;
    },
    # tree TARGET SOURCE FLAGS UID_MAP GID_MAP: TARGET is a path of the sandbox, "." its root
    tree => sub {
      my ($target, $source, $flags, $uid_map, $gid_map) = @_;
      my $fd = look(AT_FDCWD, $source, 0);
      $fd >= 0 or stop($source);
      push @trees, [$target, copy_of($source, $fd, flags_of($flags), mapping_or_none($uid_map, $gid_map))];
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
    # anchor TARGET: hides what the image has there, too
    anchor => sub {
      my ($target) = @_;
      my $fd = look_inside($target);
      $fd >= 0 or stop("the image's /$target");
      attach($target, copy_of($target, $fd, flags_of('rx'), undef, MS_SHARED), $fd);
      call('close', $fd);
    },
  );
}

1;
