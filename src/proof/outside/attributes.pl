# Extended attributes of paths, by llistxattr(2) and lgetxattr(2), which follow no link. Argument: x64|arm64. Paths come on
# standard input, each ended by NUL and relative to the current folder; answers are lines of path NUL name NUL value in hex.
use strict; use warnings;
my ($number, $get) = $ARGV[0] eq 'arm64' ? (12, 9) : (195, 192);
$/ = "\0";
while (my $path = <STDIN>) {
    chomp $path;
    my ($list, $place) = ("\0" x 4096, "./$path");
    my $length = syscall($number, $place, $list, length $list);
    next if $length <= 0;
    for my $name (split /\0/, substr($list, 0, $length)) {
        my $value = "\0" x 1024;
        my $size = syscall($get, $place, $name, $value, length $value);
        print "$path\0$name\0", unpack('H*', substr($value, 0, $size < 0 ? 0 : $size)), "\n";
    }
}
