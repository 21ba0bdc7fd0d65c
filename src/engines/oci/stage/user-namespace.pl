# A user namespace with a mapping of its own. Whoever loads this has `call`, which makes a system call by its name, and `stop`.
use strict;
use warnings;

# Its handle; the process that it was made with is gone then. Each map is the text of its file in /proc.
sub mapped_namespace {
  my ($uid_map, $gid_map) = @_;
  my $NEW_USER = 0x10000000;
  pipe(my $ready_out, my $ready_in) or stop('pipe');
  pipe(my $go_out, my $go_in) or stop('pipe');
  my $child = fork();
  defined $child or stop('fork');
  if ($child == 0) {
    close $go_in;
    call('unshare', $NEW_USER) == 0 or stop('user namespace');
    syswrite $ready_in, 'x';
    sysread $go_out, my $byte, 1;
    exit 0;
  }
  close $ready_in;
  if (sysread($ready_out, my $byte, 1) != 1) {
    # It has said why.
    waitpid $child, 0;
    exit($? >> 8 || 97);
  }
  for (['uid_map', $uid_map], ['gid_map', $gid_map]) {
    my ($name, $map) = @$_;
    sysopen(my $file, "/proc/$child/$name", 1) or stop($name);
    defined syswrite($file, $map) or stop($name);
    close $file;
  }
  sysopen(my $namespace, "/proc/$child/ns/user", 0) or stop('user namespace');
  close $go_in;
  waitpid $child, 0;
  return $namespace;
}

1;
