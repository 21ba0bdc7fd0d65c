# Reads from the kernel that runs a sandbox, and does to it, what this host may not or cannot because its kernel is another one:
# it runs in a container of ours that sees that kernel's processes.
#
# One question a line, a word and its arguments, separated by tabs and percent-escaped. Each is answered in order by "ok LENGTH"
# or "no LENGTH", a line feed and that many bytes. The end of standard input ends the container. A process is named by its id and
# its start time, so that no other one is ever meant. Arguments: x64|arm64 and the text of stage.pl. No module is loaded.
use strict;
BEGIN { $^W = 1 }

my ($machine, $stage) = @ARGV;
sub MOST () { 4194304 }
sub DESCRIPTORS () { 65536 }
sub O_NONBLOCK () { 04000 }
$SIG{PIPE} = 'IGNORE';
my %kinds = map { $_ => 1 } qw(stat status mountinfo cgroup uid_map gid_map);

sub slurp {
  my ($path, $most) = @_;
  open(my $file, '<', $path) or return;
  return rest_of($file, $most);
}

sub rest_of {
  my ($file, $most) = @_;
  my $text = '';
  while (length $text < ($most // MOST)) {
    my $count = sysread($file, $text, 65536, length $text);
    return unless defined $count;
    last if $count == 0;
  }
  return substr($text, 0, $most // MOST);
}

sub number {
  my ($text) = @_;
  $text =~ /^[1-9]\d{0,9}$/ or die "$text is no number\n";
  return $text;
}

# State, session and start of a process; none where there is no such one. Its name may hold anything.
sub facts_of {
  my ($pid) = @_;
  my $stat = slurp("/proc/$pid/stat") // return;
  my @fields = split / /, substr($stat, rindex($stat, ')') + 2);
  return @fields[0, 3, 19];
}

# What tells the processes of a container from all others; none where its first one is gone or shares them with us.
sub space_of {
  my ($pid, $start) = @_;
  my ($state, undef, $begun) = facts_of(number($pid));
  return unless defined $begun && $begun eq $start && $state ne 'Z';
  my $space = readlink "/proc/$pid/ns/pid";
  return if !defined $space || $space eq (readlink('/proc/self/ns/pid') // '');
  return $space;
}

sub numbers {
  opendir(my $all, '/proc') or die "/proc: $!\n";
  return grep { /^\d+$/ } readdir $all;
}

sub inside {
  my ($space) = @_;
  return grep { (readlink("/proc/$_/ns/pid") // '') eq $space } numbers();
}

sub socket_of {
  my ($pid, $port, $remote) = @_;
  for my $table ('tcp', 'tcp6') {
    for (split /\n/, slurp("/proc/$pid/net/$table") // '') {
      my (undef, $local, $peer, @rest) = split ' ';
      next unless defined $peer && $local =~ /:\Q$port\E$/ && $peer =~ /\Q$remote\E$/;
      return $rest[6] if $rest[6] ne '0';
    }
  }
  return;
}

sub holds {
  my ($pid, $socket, $left) = @_;
  opendir(my $folder, "/proc/$pid/fd") or return 0;
  while (defined(my $name = readdir $folder)) {
    return 0 if --$$left < 0;
    return 1 if (readlink("/proc/$pid/fd/$name") // '') eq "socket:[$socket]";
  }
  return 0;
}

my %do = (
  # who is asked: the run of the kernel, its release, its space of processes, and the first process of this container
  hello => sub {
    my ($boot, $release) = map { slurp("/proc/sys/kernel/$_") // '' } 'random/boot_id', 'osrelease';
    chomp($boot, $release);
    return join "\t", $boot, $release, readlink('/proc/self/ns/pid') // '', beside();
  },
  # read PID KIND: empty where there is none
  read => sub {
    my ($pid, $kind) = @_;
    $kinds{$kind} or die "$kind is not read\n";
    return slurp('/proc/' . number($pid) . "/$kind") // '';
  },
  # threads PID: a line of each
  threads => sub {
    my ($pid) = @_;
    opendir(my $folder, '/proc/' . number($pid) . '/task') or return '';
    return join '', map { /^\d+$/ ? slurp("/proc/$pid/task/$_/stat") // '' : () } readdir $folder;
  },
  # namespaces PID: "KIND LINK" each
  namespaces => sub {
    my ($pid) = @_;
    return join '', map { my $link = readlink '/proc/' . number($pid) . "/ns/$_"; defined $link ? "$_ $link\n" : () }
      qw(cgroup ipc mnt net pid time user uts);
  },
  # inside PID START: processes, of which that one is the first
  inside => sub {
    my $space = space_of(@_) // return '';
    return join ' ', inside($space);
  },
  # end PID START LEADER: kills what is in the session of that number there; answers how many it was
  end => sub {
    my ($pid, $start, $leader) = @_;
    my $space = space_of($pid, $start) // return 0;
    my @mine = grep { ((facts_of($_))[1] // '') eq $leader } inside($space);
    kill 'KILL', @mine;
    return scalar @mine;
  },
  # signal PID START TARGET NUMBER: to one process there; answers how many it was
  signal => sub {
    my ($pid, $start, $target, $signal) = @_;
    my $space = space_of($pid, $start) // return 0;
    return 0 if (readlink('/proc/' . number($target) . '/ns/pid') // '') ne $space;
    return kill number($signal), $target;
  },
  # sender PID START PORT REMOTE: who holds the connection, ports and addresses as the kernel's tables have them
  sender => sub {
    my ($pid, $start, $port, $remote) = @_;
    my $space = space_of($pid, $start) // return '';
    my $socket = socket_of($pid, $port, $remote) // return '';
    my $left = DESCRIPTORS;
    for my $one (inside($space)) {
      next unless holds($one, $socket, \$left);
      my $command = slurp("/proc/$one/cmdline", 4096) // '';
      $command = slurp("/proc/$one/comm", 4096) // '' if $command =~ /^[\0 ]*$/;
      return "$one\t$command";
    }
    return '';
  },
  # shown PID START PATH: bytes of a file as that process has it; for places that its mounts lead to past no link
  shown => sub {
    my ($pid, $start, $path) = @_;
    defined space_of($pid, $start) or die "it has ended\n";
    $path =~ m{^/} or die "$path is no path\n";
    # Others may write where it lies: what is opened is what is looked at, and a pipe holds nobody up.
    sysopen(my $file, "/proc/$pid/root$path", O_NONBLOCK) or die "$!\n";
    -f $file or die "it is no file\n";
    return rest_of($file) // die "$!\n";
  },
  # stage PLAN: carries out a plan of stage.pl
  stage => sub {
    my ($plan) = @_;
    pipe(my $plan_out, my $plan_in) && pipe(my $said_out, my $said_in) or die "pipe: $!\n";
    my $child = fork() // die "fork: $!\n";
    if ($child == 0) {
      open(STDIN, '<&', $plan_out) && open(STDOUT, '>', '/dev/null') && open(STDERR, '>&', $said_in) or exit 96;
      close $_ for $plan_out, $plan_in, $said_out, $said_in;
      { no warnings; exec { $^X } $^X, '-e', $stage, $machine, 0 }
      exit 96;
    }
    close $plan_out;
    close $said_in;
    for (my $sent = 0; $sent < length $plan;) {
      my $count = syswrite($plan_in, $plan, length($plan) - $sent, $sent) // last;
      $sent += $count;
    }
    close $plan_in;
    my $said = '';
    1 while sysread($said_out, $said, 4096, length $said);
    waitpid $child, 0;
    $? == 0 or die $said eq '' ? "no reason given\n" : $said;
    return '';
  },
  # group PATH TEXT: one bound of a group of the memory controller
  group => sub {
    my ($path, $text) = @_;
    $path =~ m{^/mnt/.*/memory\.kmem\.tcp\.limit_in_bytes$} && $path !~ m{/\.\.?/} or die "$path is not written\n";
    open(my $file, '>', $path) or die "$!\n";
    syswrite($file, $text) // die "$!\n";
    close $file or die "$!\n";
    return '';
  },
);

# Of this container, and not this one: what it was started with, which only waits.
sub beside {
  my $own = readlink('/proc/self/ns/mnt') // return;
  return grep { $_ != $$ && (readlink("/proc/$_/ns/mnt") // '') eq $own } numbers();
}

sub answer {
  my ($word, $text) = @_;
  $text = "$word " . length($text) . "\n$text";
  while ($text ne '') {
    my $sent = syswrite(STDOUT, $text);
    last unless defined $sent;
    substr($text, 0, $sent) = '';
  }
}

my $input = '';
while (my $count = sysread(STDIN, $input, 65536, length $input)) {
  while ($input =~ s/^([^\n]*)\n//) {
    my ($word, @fields) = map { s/%([0-9A-F]{2})/chr hex $1/ger } split /\t/, $1, -1;
    my $do = $do{ $word // '' };
    my $said = eval { ($do // die "unknown question\n")->(@fields) };
    if (defined $said) { answer('ok', $said) } else { answer('no', $@ eq '' ? "no reason given\n" : $@) }
  }
}
kill 'KILL', beside();
