# The short way of `casemate exec NAME -- COMMAND...` and `casemate run -- COMMAND...`: what src/cli/session does, without the
# start of Node. The build puts these files behind scripts/launcher.sh as one program; that has looked at the
# arguments. Whatever is not plain is done by the whole program: before the daemon was asked, by starting it with the same
# arguments (`take_long_way`); after that, by telling it what is left to do (`hand_on`). No module but the smallest is
# loaded: what perl reads before it begins is waited for.

# What this perl cannot read of it, or has not, is done by the whole program: nothing has had an effect yet.
BEGIN {
  $SIG{__DIE__} = sub {
    $ENV{CASEMATE_LONG_WAY} = 1;
    exec { '/bin/sh' } 'sh', $0, @ARGV;
  };
}
use strict;
BEGIN { $^W = 1 }

# Written by the build, as system/version.ts has it.
my $VERSION = '@VERSION@';
sub AF_UNIX () { 1 }
sub SOCK_STREAM () { 1 }
sub EINTR () { 4 }
sub EAGAIN () { 11 }
sub EPIPE () { 32 }
sub TIOCGWINSZ () { 0x5413 }
# daemon/protocol.ts and daemon/output-log.ts
sub MAX_LINE () { 4 * 1024 * 1024 }
sub MAX_LOG () { 4 * 1024 * 1024 }

# The launcher sets it where it would be told of a locale that is not there.
delete $ENV{PERL_BADLANG};
# A defect of ours is no exit code of the command.
$SIG{__DIE__} = sub {
  die @_ if $^S;
  print STDERR 'casemate: a defect of the short way: ', visible($_[0]);
  exit 125;
};
# A reader that has gone is an answer of the write.
$SIG{PIPE} = 'IGNORE';

# Also set by a person who wants no short way.
sub long_way {
  $ENV{CASEMATE_LONG_WAY} = 1;
  $SIG{PIPE} = 'DEFAULT';
  local $^W = 0;
  exec { '/bin/sh' } 'sh', $0, @_;
  exit 127;
}

sub take_long_way { long_way(@ARGV) }

# By the machine perl is built for: numbers that are not the same everywhere. Undefined where nobody has tried.
sub machine_numbers {
  my $head = '';
  sysopen(my $program, '/proc/self/exe', 0) or return;
  sysread($program, $head, 20) == 20 or return;
  my ($class, $order, $machine) = unpack('x4CCx12S', $head);
  return if $class != 2 || $order != 1;
  return { setsid => 112, nofollow => 0400000 } if $machine == 62;
  return { setsid => 157, nofollow => 0100000 } if $machine == 183;
  return;
}
my $numbers = machine_numbers() or take_long_way();
