# Writes regions of a process's memory to the output: two hex numbers a line on the input, where each begins and ends.
# Run by whoever was let into the process's user namespace, with the number of the process.
use strict;
use warnings;
no warnings 'portable';

my ($pid) = @ARGV;
open(my $memory, '<:raw', "/proc/$pid/mem") or exit 1;
binmode STDOUT;
while (defined(my $line = <STDIN>)) {
    my ($start, $end) = map { hex } split ' ', $line;
    sysseek($memory, $start, 0) or next;
    while ($start < $end) {
        my $wanted = $end - $start < 1 << 20 ? $end - $start : 1 << 20;
        my $got = sysread($memory, my $bytes, $wanted) or last;
        print STDOUT $bytes or exit 1;
        $start += $got;
    }
}
