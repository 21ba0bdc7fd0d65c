# Calls gVisor for a sandbox that runs: from its network and process namespaces, as the id that gVisor's kernel takes orders
# from, with no right, and outside the user namespace, so that the kernel cannot look into the call. No terminal of the
# caller's gets in: a command has one made for it, which ends with it, and this process passes the bytes on. No socket of the
# caller's does either: gVisor shuts one down when the command lets go of it, for everybody else who has it, too.
# Arguments: x64|arm64 root|user FOLDER PID ID plain|tty SANDBOX PID-FILE|- PROGRAM OPTION... -- COMMAND ARGUMENT...
# PID is the sandbox's keeper, PID-FILE will hold the command's number inside. No module but the smallest is loaded: each is
# waited for at every start and command.
use strict;
BEGIN { $^W = 1 }

# gVisor makes the root of its processes in the folder this names, and the caller's own may be closed to the sandbox's user.
delete $ENV{TMPDIR};

my ($machine, $kind, $folder, $pid, $id, $mode, $sandbox, $pid_file, @rest) = @ARGV;
my %all = (
  x64 => { setns => 308, prctl => 157, dup3 => 292, setresuid => 117, setresgid => 119, setgroups => 116, setsid => 112 },
  arm64 => { setns => 268, prctl => 167, dup3 => 24, setresuid => 147, setresgid => 149, setgroups => 159, setsid => 157 },
);
my %nr = %{ $all{$machine} };
# A number: a text would reach the kernel as its address.
$id += 0;

sub PR_SET_PDEATHSIG () { 1 } sub PR_SET_NO_NEW_PRIVS () { 38 } sub NS_GET_PARENT () { 0xb702 } sub O_RDWR () { 2 }
sub O_NOCTTY () { 0400 } sub EINTR () { 4 } sub EAGAIN () { 11 } sub WNOHANG () { 1 } sub F_SETFL () { 4 }
sub O_NONBLOCK () { 04000 } sub TCGETS () { 0x5401 } sub TCSETS () { 0x5402 } sub TIOCSCTTY () { 0x540e }
sub TIOCGWINSZ () { 0x5413 } sub TIOCSWINSZ () { 0x5414 } sub TIOCGPTN () { 0x80045430 } sub TIOCSPTLCK () { 0x40045431 }

# gVisor finds the sandbox's folder here, as when it was started.
my $FOLDER_FD = 9;

sub call {
  my ($name, @arguments) = @_;
  return syscall($nr{$name}, @arguments);
}

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-enter: $subject: $!\n";
  exit 97;
}

my (@runtime, @command);
while (@rest) {
  my $word = shift @rest;
  if ($word eq '--') { @command = @rest; last }
  push @runtime, $word;
}

sub namespace_of {
  my ($name) = @_;
  sysopen(my $namespace, "/proc/$pid/ns/$name", 0) or stop("$name namespace");
  return $namespace;
}

sub enter {
  my ($name, $descriptor) = @_;
  call('setns', $descriptor, 0) == 0 or stop("$name namespace");
}

sysopen(my $place, $folder, 0) or stop($folder);
my @namespaces = map { namespace_of($_) } 'net', 'pid';
if ($kind eq 'user') {
  # An ordinary user has rights over the sandbox's namespaces in the one around its user namespace.
  my $outer = ioctl(namespace_of('user'), NS_GET_PARENT, 0) or stop('outer user namespace');
  enter('outer user', $outer + 0);
}
enter('sandbox', fileno($_)) for @namespaces;

my @pending;
my %numbers = (HUP => 1, INT => 2, QUIT => 3, USR1 => 10, USR2 => 12, TERM => 15);

# What is started from here on is in the sandbox's process namespace. Handles by the number they get, and a terminal to control it.
sub start {
  my ($handles, $terminal, @program) = @_;
  my $child = fork();
  defined $child or stop('fork');
  return $child if $child != 0;
  # What is sent to it before it is the program is not for this one to keep.
  $SIG{$_} = 'DEFAULT' for keys %numbers;
  if (defined $terminal) {
    call('setsid');
    ioctl($terminal, TIOCSCTTY, 0) or stop('terminal');
  }
  for my $descriptor (keys %$handles) {
    call('dup3', fileno($handles->{$descriptor}), $descriptor + 0, 0) >= 0 or stop("descriptor $descriptor");
  }
  call('dup3', fileno($place), $FOLDER_FD, 0) >= 0 or stop('folder');
  my $no_groups = 0;
  call('setgroups', 0, $no_groups) == 0 or stop('groups');
  call('setresgid', $id, $id, $id) == 0 or stop('group');
  call('setresuid', $id, $id, $id) == 0 or stop('user');
  call('prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 or stop('no new privileges');
  call('prctl', PR_SET_PDEATHSIG, 9, 0, 0, 0);
  local $^W = 0;
  { exec { $program[0] } @program }
  stop($program[0]);
}

# The number of the command inside, once there is one.
sub number_inside {
  return undef if $pid_file eq '-';
  open(my $file, '<', $pid_file) or return undef;
  my $number = <$file>;
  return defined $number && $number =~ /^(\d+)$/ ? $1 : undef;
}

for my $name (keys %numbers) {
  $SIG{$name} = sub { push @pending, $numbers{$name} };
}

# gVisor passes signals on to a command only where it has a terminal, and only from the moment it writes the command's number:
# until then it would end by one itself and leave the command behind. The command may print before that. So a signal is kept
# until the number is there.
sub pass_signals {
  my ($child) = @_;
  while (@pending) {
    my $inside = number_inside();
    return if $pid_file ne '-' && !defined $inside;
    my $signal = shift @pending;
    if ($mode eq 'tty' || !defined $inside) {
      kill $signal, $child;
      next;
    }
    my $teller = start({}, undef, @runtime, 'kill', '--pid', $inside, $sandbox, $signal);
    { local $?; waitpid $teller, 0 }
  }
}

# A signal that is kept is tried again after the first; one that comes between the look at it and the wait is seen after the second.
sub patience { return @pending ? 0.02 : 0.25 }

# Whether input may still come after a read that answered this: it may find nothing, because another took what was there.
sub has_more {
  my ($count) = @_;
  return defined $count ? $count > 0 : $! == EINTR || $! == EAGAIN;
}

sub exit_as {
  my ($status) = @_;
  exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
}

if ($mode ne 'tty' && grep { -S $_ } *STDIN, *STDOUT, *STDERR) {
  through_pipes();
}
if ($mode ne 'tty') {
  my $child = start({}, undef, @runtime, @command);
  # pidfd_open(2), of the same number everywhere; without it the end is looked for.
  my $ending = syscall(434, $child, 0);
  while (1) {
    pass_signals($child);
    my $seen = '';
    vec($seen, $ending, 1) = 1 if $ending >= 0;
    select($seen, undef, undef, $ending >= 0 ? patience() : 0.01);
    exit_as($?) if waitpid($child, WNOHANG) == $child;
  }
}

# Pipes in place of the sockets, and this process between them, until the command has ended and all it said is passed on.
sub through_pipes {
  my (%ends, %said, $input);
  for my $number (0 .. 2) {
    next unless -S (*STDIN, *STDOUT, *STDERR)[$number];
    pipe(my $from, my $to) or stop('pipe');
    if ($number == 0) { ($ends{0}, $input) = ($from, $to) }
    else { ($ends{$number}, $said{$number}) = ($to, $from) }
  }
  $SIG{CHLD} = sub { };
  my $child = start(\%ends, undef, @runtime, @command);
  %ends = ();
  $SIG{PIPE} = 'IGNORE';
  fcntl($input, F_SETFL, O_NONBLOCK) if defined $input;
  my ($given, $looks, $end) = ('', defined $input);
  while (1) {
    pass_signals($child);
    # Told once: what it wrote last may still have to be read by then.
    $end //= $? if waitpid($child, WNOHANG) == $child;
    my ($readable, $writable) = ('', '');
    vec($readable, fileno($said{$_}), 1) = 1 for keys %said;
    if (!defined $end && defined $input) {
      if ($given ne '') { vec($writable, fileno($input), 1) = 1 }
      elsif ($looks) { vec($readable, 0, 1) = 1 }
      else { $input = undef }
    }
    my $count = select($readable, $writable, undef, defined $end ? 0 : patience());
    exit_as($end) if defined $end && $count == 0;
    next if $count <= 0;
    for my $number (keys %said) {
      next unless vec($readable, fileno($said{$number}), 1);
      my $length = sysread($said{$number}, my $text, 65536);
      if ($length) { write_all((undef, *STDOUT, *STDERR)[$number], $text) }
      elsif (defined $length) { delete $said{$number} }
    }
    $looks = has_more(sysread(STDIN, $given, 65536)) if vec($readable, 0, 1);
    if (defined $input && $given ne '' && vec($writable, fileno($input), 1)) {
      my $sent = syswrite($input, $given);
      if (defined $sent) { substr($given, 0, $sent) = '' }
      elsif ($! != EAGAIN && $! != EINTR) { ($input, $given) = (undef, '') }
    }
  }
}

sub new_terminal {
  sysopen(my $main, '/dev/ptmx', O_RDWR | O_NOCTTY) or stop('/dev/ptmx');
  my ($unlock, $number) = (pack('i', 0), pack('i', 0));
  ioctl($main, TIOCSPTLCK, $unlock) or stop('terminal');
  ioctl($main, TIOCGPTN, $number) or stop('terminal');
  my $path = '/dev/pts/' . unpack('i', $number);
  sysopen(my $side, $path, O_RDWR | O_NOCTTY) or stop($path);
  return ($main, $side);
}

my ($main, $side) = new_terminal();

sub copy_size {
  my $size = "\0" x 8;
  ioctl(STDIN, TIOCGWINSZ, $size) and ioctl($main, TIOCSWINSZ, $size);
}

# The caller's terminal hands keys on as they are (cfmakeraw in termios(3)); as it was when this ends.
my $cooked = "\0" x 64;
my $has_terminal = ioctl(STDIN, TCGETS, $cooked);

sub make_raw {
  my ($input, $output, $control, $local, $line, @keys) = unpack('I4CC19', $cooked);
  ($keys[5], $keys[6]) = (0, 1);
  my $raw = pack('I4CC19x28', $input & ~0x5eb, $output & ~1, $control & ~0x130 | 0x30, $local & ~0x804b, $line, @keys);
  ioctl(STDIN, TCSETS, $raw);
}

END { my $status = $?; ioctl(STDIN, TCSETS, $cooked) if $has_terminal; $? = $status }

copy_size();
make_raw() if $has_terminal;
my ($resized, $looks) = (0, 1);
$SIG{WINCH} = sub { $resized = 1 };
$SIG{CHLD} = sub { };
my $child = start({ map { $_ => $side } 0 .. 2 }, $side, @runtime, @command);
close $side;
my ($keys, $end) = ('');
while (1) {
  pass_signals($child);
  if ($resized) { $resized = 0; copy_size() }
  # Told once: what it wrote last may still have to be read by then.
  $end //= $? if waitpid($child, WNOHANG) == $child;
  my ($readable, $writable) = ('', '');
  vec($readable, fileno($main), 1) = 1;
  vec($readable, 0, 1) = 1 if $looks && $keys eq '' && !defined $end;
  vec($writable, fileno($main), 1) = 1 if $keys ne '';
  # After its end what it wrote last is still read.
  my $count = select($readable, $writable, undef, defined $end ? 0 : patience());
  my $said = '';
  if ($count > 0) {
    sysread($main, $said, 65536) if vec($readable, fileno($main), 1);
    write_all(*STDOUT, $said);
    $looks = has_more(sysread(STDIN, $keys, 4096)) if vec($readable, 0, 1);
    if ($keys ne '' && vec($writable, fileno($main), 1)) {
      my $sent = syswrite($main, $keys);
      substr($keys, 0, $sent // 0) = '';
    }
  }
  exit_as($end) if defined $end && $count >= 0 && $said eq '';
}

sub write_all {
  my ($handle, $text) = @_;
  while ($text ne '') {
    my $sent = syswrite($handle, $text);
    if (!defined $sent && $! == EAGAIN) {
      my $writable = '';
      vec($writable, fileno($handle), 1) = 1;
      select(undef, $writable, undef, 1);
      next;
    }
    next if !defined $sent && $! == EINTR;
    return unless defined $sent;
    substr($text, 0, $sent) = '';
  }
}
