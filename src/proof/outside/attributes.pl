# Names of extended attributes of paths, by llistxattr(2), which follows no link. Argument: x64|arm64. Paths come on standard
# input, each ended by NUL and relative to the current folder; answers are lines of path NUL name.
use strict; use warnings;
my $number = $ARGV[0] eq 'arm64' ? 12 : 195;
$/ = "\0";
while (my $path = <STDIN>) {
    chomp $path;
    my ($list, $place) = ("\0" x 4096, "./$path");
    my $length = syscall($number, $place, $list, length $list);
    next if $length <= 0;
    print "$path\0$_\n" for split /\0/, substr($list, 0, $length);
}
