# Starts gVisor for one sandbox and keeps it: a user, mount, network and process namespace of its own around all of gVisor's
# processes, so that none of them is anybody on the host. `stage.pl` becomes this once the mounts are there. The first process
# of the namespaces stays as the sandbox's keeper: it ends with gVisor's kernel, and with it ends everything.
# Arguments: x64|arm64 FOLDER MAP FILTER [make:PATH | write:PATH:TEXT | join:PATH | net:NAME:TEXT]... -- PROGRAM ARGUMENT...;
# MAP as in uid_map with commas between the lines; FILTER a seccomp program in hex; `net` is a setting of the sandbox's network
# by its path below /proc/sys/net. No module is loaded.
use strict;
use warnings;

BEGIN {
  my ($here) = __FILE__ =~ m{^(.*)/};
  require "$here/../stage/user-namespace.pl";
}

# gVisor makes the root of its processes in the folder this names, and the caller's own may be closed to the sandbox's user.
delete $ENV{TMPDIR};

my ($machine, $folder, $map, $filter, @rest) = @ARGV;
my %all = (
  x64 => {
    close => 3, mount => 165, umount2 => 166, pivot_root => 155, setns => 308, unshare => 272, prctl => 157, dup3 => 292, setresuid => 117,
    setresgid => 119, setgroups => 116, capset => 126, setsid => 112, prlimit64 => 302,
  },
  arm64 => {
    close => 57, mount => 40, umount2 => 39, pivot_root => 41, setns => 268, unshare => 97, prctl => 167, dup3 => 24, setresuid => 147,
    setresgid => 149, setgroups => 159, capset => 91, setsid => 157, prlimit64 => 261,
  },
);
my %nr = %{ $all{$machine} };

use constant {
  NEW_MOUNTS => 0x20000, NEW_CGROUP => 0x2000000, NEW_UTS => 0x4000000, NEW_IPC => 0x8000000, NEW_PIDS => 0x20000000,
  NEW_NET => 0x40000000, MS_RDONLY => 1, MS_NOSUID => 2, MS_NODEV => 4, MS_NOEXEC => 8, MS_BIND => 0x1000, MNT_DETACH => 2,
  PR_SET_PDEATHSIG => 1, PR_SET_SECCOMP => 22, PR_CAPBSET_DROP => 24, PR_SET_NO_NEW_PRIVS => 38, RLIMIT_CORE => 4, RLIMIT_NOFILE => 7,
  SIOCSIFFLAGS => 0x8914, IFF_UP_RUNNING => 0x41, O_WRONLY => 1, O_RDWR => 2, O_CREAT => 0100, O_APPEND => 02000, O_TRUNC => 01000,
};

# gVisor finds the sandbox's folder here: the way to it leads past folders that nobody of its user namespace may enter.
my $FOLDER_FD = 9;

# Not by copies: the kernel may answer in an argument.
sub call {
  my $name = shift;
  return syscall($nr{$name}, @_);
}

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-keep: $subject: $!\n";
  exit 96;
}

sub must {
  my $subject = shift;
  call(@_) >= 0 or stop($subject);
}

my (@steps, @command);
while (@rest) {
  my $step = shift @rest;
  if ($step eq '--') { @command = @rest; last }
  push @steps, $step;
}

sysopen(my $log, "$folder/log", O_WRONLY | O_CREAT | O_APPEND, 0666) or stop('log');
open(STDERR, '>&', $log) or stop('log');
sysopen(my $record, "$folder/init.json", O_WRONLY | O_CREAT | O_TRUNC, 0600) or stop('init.json');
sysopen(my $place, $folder, 0) or stop($folder);

# Groups with limits, made by whoever may make them: this process is the first that they hold.
for (grep { !/^net:/ } @steps) {
  my ($kind, $path, $text) = split /:/, $_, 3;
  if ($kind eq 'make') {
    mkdir $path or -d $path or stop("cgroup $path");
    next;
  }
  sysopen(my $file, $kind eq 'join' ? "$path/cgroup.procs" : $path, O_WRONLY) or stop("cgroup $path");
  defined syswrite($file, $kind eq 'join' ? $$ : $text) or stop("cgroup $path");
}

sub limit {
  my ($which, $soft, $hard) = @_;
  my ($none, $pair) = (0, pack('QQ', $soft, $hard));
  must('resource limit', 'prlimit64', 0, $which, $pair, $none);
}

sub raise_files {
  my ($none, $pair) = (0, pack('QQ', 0, 0));
  must('resource limit', 'prlimit64', 0, RLIMIT_NOFILE, $none, $pair);
  my ($soft, $hard) = unpack('QQ', $pair);
  limit(RLIMIT_NOFILE, $hard, $hard);
}

# Mapped from here, and entered below.
my $lines = join '', map { "$_\n" } split /,/, $map;
my $namespace = mapped_namespace($lines, $lines);
must('folder', 'dup3', fileno($place), $FOLDER_FD, 0);
# Each file that a sandbox has open is one of gVisor's own. Its memory holds the sandbox's, and goes into no dump: 1, for
# 0 is none to a program that `core_pattern` names (core(5)).
raise_files();
limit(RLIMIT_CORE, 1, 1);
must('user namespace', 'setns', fileno($namespace), 0);
my $no_groups = 0;
must('groups', 'setgroups', 0, $no_groups);
must('group', 'setresgid', 0, 0, 0);
must('user', 'setresuid', 0, 0, 0);
must('namespaces', 'unshare', NEW_MOUNTS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_NET | NEW_PIDS);
socket(my $socket, 2, 2, 0) or stop('socket');
my $interface = pack('a16 s x22', 'lo', IFF_UP_RUNNING);
ioctl($socket, SIOCSIFFLAGS, $interface) or stop('lo');
close $socket;
# gVisor's sockets are this host's, in this namespace.
for (grep { /^net:/ } @steps) {
  my (undef, $name, $text) = split /:/, $_, 3;
  sysopen(my $file, "/proc/sys/net/$name", O_WRONLY) or stop($name);
  defined syswrite($file, $text) or stop($name);
}

pipe(my $go_out, my $go_in) or stop('pipe');
pipe(my $done_out, my $done_in) or stop('pipe');
my $keeper = fork();
defined $keeper or stop('fork');
keep() if $keeper == 0;
close $go_out;
close $done_in;
# Written before anything is started, so that a kill at any moment leaves a process that can be found.
open(my $stat, '<', "/proc/$keeper/stat") or stop('keeper');
my ($ticks) = <$stat> =~ /\) (?:\S+ ){19}(\d+)/;
defined syswrite($record, qq({"pid":$keeper,"startTicks":"$ticks"}\n)) or stop('init.json');
close $record;
syswrite $go_in, 'x';
exit 0 if sysread($done_out, my $byte, 1);
waitpid $keeper, 0;
exit($? >> 8 || 96);

# The first process of the namespaces.
sub keep {
  close $go_in;
  close $done_out;
  call('setsid');
  # Until the sandbox is there it ends with whoever makes it.
  call('prctl', PR_SET_PDEATHSIG, 9, 0, 0, 0);
  exit 96 unless sysread($go_out, my $byte, 1);
  close $go_out;
  my ($type, $path, $nothing) = ('proc', '/proc', '');
  must('/proc', 'mount', $type, $path, $type, MS_NOSUID | MS_NODEV | MS_NOEXEC, $nothing);
  show_memory();
  confine();
  my $runtime = fork();
  defined $runtime or stop('fork');
  become_runtime() if $runtime == 0;
  waitpid $runtime, 0;
  exit($? >> 8 || 96) if $?;
  open(my $file, '<', "/proc/self/fd/$FOLDER_FD/kernel.pid") or stop('pid of the kernel');
  my $kernel = <$file>;
  close $file;
  withdraw();
  call('prctl', PR_SET_PDEATHSIG, 0, 0, 0, 0);
  # Whoever waits for this may have been killed.
  $SIG{PIPE} = 'IGNORE';
  syswrite $done_in, 'x';
  close $done_in;
  # gVisor's kernel and file server are children of this process since the runtime has ended.
  while ((my $ended = waitpid(-1, 0)) > 0) {
    last if $ended == $kernel;
  }
  exit 0;
}

# gVisor takes from /proc/meminfo how much memory it has to give. What is shown there must lie in a mount of this namespace.
sub show_memory {
  my ($type, $folder, $own, $shown, $nothing) = ('tmpfs', '/tmp', '/tmp/meminfo', '/proc/meminfo', '');
  open(my $limit, '<', "/proc/self/fd/$FOLDER_FD/meminfo") or stop('meminfo');
  must($shown, 'mount', $type, $folder, $type, MS_NOSUID | MS_NODEV | MS_NOEXEC, $nothing);
  open(my $file, '>', $own) or stop($shown);
  print {$file} readline $limit;
  close $file or stop($shown);
  must($shown, 'mount', $own, $shown, $nothing, MS_BIND, $nothing);
  must($shown, 'umount2', $folder, MNT_DETACH);
}

sub become_runtime {
  open(STDERR, '>', '/dev/null');
  close $done_in;
  { no warnings; exec { $command[0] } @command }
  exit 98;
}

# Nothing below gains a right by a program it starts, and none of it makes a file that would give rights to who runs it.
sub confine {
  must('no new privileges', 'prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  my $code = pack('H*', $filter);
  my $program = pack('Sx6J', length($code) / 8, unpack('J', pack('P', $code)));
  must('seccomp filter', 'prctl', PR_SET_SECCOMP, 2, $program, 0, 0);
}

# gVisor's kernel may look into every process of its user namespace: this one keeps no right, no file and no way to one.
sub withdraw {
  my ($type, $path, $here, $nothing) = ('tmpfs', '/proc', '.', '');
  must('empty root', 'mount', $type, $path, $type, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, $nothing);
  chdir $path or stop('empty root');
  must('empty root', 'pivot_root', $here, $here);
  must('empty root', 'umount2', $here, MNT_DETACH);
  chdir '/' or stop('empty root');
  for my $capability (0 .. 63) {
    call('prctl', PR_CAPBSET_DROP, $capability, 0, 0, 0) == 0 or last;
  }
  my ($header, $sets) = (pack('LL', 0x20080522, 0), pack('L6', (0) x 6));
  must('capabilities', 'capset', $header, $sets);
  close $_ for $place, $log, $namespace;
  open(STDERR, '>&', \*STDOUT);
  call('close', $FOLDER_FD);
}
