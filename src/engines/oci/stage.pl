# The one hand that makes mounts: Node has no open_tree, openat2 or mount_setattr. Reads a plan from standard input, builds
# the stage inside a private mount namespace, and has the container runtime make a container of it: it either becomes the
# runtime, or starts it and hands in the mounts that belong to one sandbox while it works or after it. After a kill -9
# nothing stays mounted. One operation a line, fields separated by tabs and percent-escaped (see stage-plan.ts); the last
# one makes the plan whole. The plan may come much later, or never. Arguments: x64|arm64, the process id of the caller.
use strict;
use warnings;

# Where this program goes into a container as text, its parts stand in front of it (stage-text.ts).
my ($here) = __FILE__ =~ m{^(.*)/};
if (defined $here) {
  require "$here/stage/$_.pl" for qw(calls user-namespace mounts home groups sandbox-root workspace runtime other-engine layers);
}

is_known_machine() or stop('machine', 'is not supported');
my %operations = (
  home_operations(), group_operations(), root_operations(), workspace_operations(), runtime_operations(),
  other_engine_operations(), layer_operations(),
);

while (my $line = <STDIN>) {
  # A caller that died while it wrote must not lead to a container without its mounts, made in the host's own.
  chomp $line or stop('plan', 'is cut');
  my ($operation, @fields) = map { s/%([0-9A-F]{2})/chr hex $1/ger } split /\t/, $line, -1;
  my $do = $operations{$operation} or stop('plan', "unknown operation $operation");
  $do->(@fields);
}

finish();
