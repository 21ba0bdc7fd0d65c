# The group of this process, where the user's own systemd made a scope for the sandbox (cgroup v2).
use strict;
use warnings;

my ($scope, @switched);

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

sub group_operations {
  return (
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
  );
}

1;
