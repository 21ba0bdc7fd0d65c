# Runs inside, in front of a command, where the installed gVisor does not apply the list of system calls to commands: loads
# the list and becomes the command. Nothing of it stays. Arguments: the number of prctl, the list and a library in hex (-:
# none), the number of variables, the variables, the command. Its own environment is empty, so that none of it is obeyed.
use strict;
use warnings;

my ($prctl, $list, $library, $count, @rest) = @ARGV;
my @variables = splice @rest, 0, $count;
%ENV = map { /^([^=]*)=(.*)$/s ? ($1, $2) : () } @variables;

# The library belongs to the agent like any file of its own: it only helps programs that would fail without it.
if ($library ne '-') {
  my $path = '/tmp/.casemate-statx.so';
  if (!-e $path && open(my $file, '>', "$path.$$")) {
    binmode $file;
    print {$file} pack 'H*', $library;
    close $file and rename "$path.$$", $path;
  }
  $ENV{LD_PRELOAD} = join ' ', grep { defined } $path, $ENV{LD_PRELOAD} if -e $path;
}

my $code = pack 'H*', $list;
my $program = pack 'Sx6J', length($code) / 8, unpack 'J', pack 'P', $code;
if (syscall($prctl, 38, 1, 0, 0, 0) != 0 || syscall($prctl, 22, 2, $program, 0, 0) != 0) {
  print STDERR "casemate: the list of system calls cannot be loaded: $!\n";
  exit 125;
}
{ no warnings; exec { $rest[0] } @rest }
my $missing = $! == 2;
# It may stand on a terminal, and what is asked for may have come from anywhere.
my $shown = $rest[0] =~ s/([^\x20-\x7e])/sprintf '\\x{%02x}', ord $1/ger;
print STDERR "casemate: $shown: $!\n";
exit($missing ? 127 : 126);
