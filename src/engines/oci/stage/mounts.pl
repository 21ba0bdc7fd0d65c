# Copies of mounts with flags and mapped ids, attached where they belong.
use strict;
use warnings;

# A descriptor of a user namespace with this mapping, for a mapped mount. Made once for each mapping.
my %mapped;
sub mapping {
  my ($uid_map, $gid_map) = @_;
  my $key = "$uid_map|$gid_map";
  return fileno($mapped{$key}) if $mapped{$key};
  return fileno($mapped{$key} = mapped_namespace($uid_map, $gid_map));
}

sub mapping_or_none {
  my ($uid_map, $gid_map) = @_;
  return defined $uid_map && $uid_map ne '' ? mapping($uid_map, $gid_map) : undef;
}

sub flags_of {
  my ($flags) = @_;
  return ATTR_NOSUID | ATTR_NODEV | ($flags =~ /r/ ? ATTR_RDONLY : 0) | ($flags =~ /x/ ? ATTR_NOEXEC : 0);
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

1;
