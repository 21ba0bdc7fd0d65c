# Carries a command that the engine runs in a container: passes standard input to it and its output here, forwards signals and
# the terminal's size, and exits with its exit code. It speaks to the engine over its Unix socket (Docker Engine API 1.41,
# "exec").
#
# Arguments: SOCKET EXEC-ID plain|tty PID-FILE ERROR-LOG SIGNALS. The daemon made EXEC-ID and chose the whole command. PID-FILE
# will hold the command's process id on the host, ERROR-LOG why it could not be started. Only the smallest modules are loaded,
# because the user waits for what perl reads before it begins.
use strict;
BEGIN { $^W = 1 }

my ($path, $exec, $mode, $pid_file, $error_log, $signals) = (@ARGV, '');
sub AF_UNIX () { 1 }
sub SOCK_STREAM () { 1 }
sub F_GETFL () { 3 }
sub F_SETFL () { 4 }
sub O_NONBLOCK () { 04000 }
sub EPERM () { 1 }
sub EINTR () { 4 }
sub EAGAIN () { 11 }
sub TCGETS () { 0x5401 }
sub TCSETS () { 0x5402 }
sub TIOCGWINSZ () { 0x5413 }
my $API = '/v1.41';
$SIG{PIPE} = 'IGNORE';

sub stop {
  my ($subject) = @_;
  print STDERR "casemate-attach: $subject: $!\n";
  exit 125;
}

sub connection {
  return connected($path) // stop("engine at $path");
}

sub connected {
  my ($to) = @_;
  socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or stop('socket');
  length $to < 108 or stop("$to is too long");
  until (connect($socket, pack('Sa108', AF_UNIX, $to))) {
    $! == EINTR or return undef;
  }
  return $socket;
}

sub send_all {
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
    return 0 unless defined $sent;
    substr($text, 0, $sent) = '';
  }
  return 1;
}

# A short question; HTTP/1.0, so that the answer ends with the connection and is never cut into chunks.
sub ask {
  my ($method, $target) = @_;
  my $socket = connection();
  send_all($socket, "$method $API$target HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n") or stop('engine');
  my $answer = '';
  while (1) {
    my $count = sysread($socket, $answer, 65536, length $answer);
    next if !defined $count && $! == EINTR;
    last unless $count;
  }
  return $answer;
}

# Of the command: whether it runs, its process id on the host, its exit code. In a JSON text a quotation mark within a
# string has a backslash before it, so these patterns match the names of fields alone.
sub look {
  my $answer = ask('GET', "/exec/$exec/json");
  my ($running) = $answer =~ /"Running":(true|false)/;
  my ($pid) = $answer =~ /"Pid":(\d+)/;
  my ($code) = $answer =~ /"ExitCode":(\d+)/;
  return (defined $running && $running eq 'true', $pid // 0, $code);
}

sub note {
  my ($file, $text) = @_;
  sysopen(my $handle, $file, 01 | 0100 | 01000, 0600) or stop($file);
  syswrite($handle, $text);
}

# Whoever is started again by a shell finds its streams as they were.
my $cooked = "\0" x 64;
my $has_terminal = $mode eq 'tty' && ioctl(STDIN, TCGETS, $cooked);
END { my $status = $?; ioctl(STDIN, TCSETS, $cooked) if $has_terminal; $? = $status }

sub make_raw {
  my ($input, $output, $control, $local, $line, @keys) = unpack('I4CC19', $cooked);
  ($keys[5], $keys[6]) = (0, 1);
  my $raw = pack('I4CC19x28', $input & ~0x5eb, $output & ~1, $control & ~0x130 | 0x30, $local & ~0x804b, $line, @keys);
  ioctl(STDIN, TCSETS, $raw);
}

sub tell_size {
  my $size = "\0" x 8;
  ioctl(STDIN, TIOCGWINSZ, $size) or return;
  my ($rows, $columns) = unpack('SS', $size);
  ask('POST', "/exec/$exec/resize?h=$rows&w=$columns") if $rows > 0 && $columns > 0;
}

# Before anything is asked of the engine: one that comes while the command is being started is for the command.
my (@pending, $resized);
my %numbers = (HUP => 1, INT => 2, QUIT => 3, USR1 => 10, USR2 => 12, TERM => 15);
for my $name (keys %numbers) {
  $SIG{$name} = sub { push @pending, $numbers{$name} };
}
$SIG{WINCH} = sub { $resized = 1 };

my $engine = connection();
my $body = '{"Detach":false,"Tty":' . ($mode eq 'tty' ? 'true' : 'false') . '}';
my $head = "POST $API/exec/$exec/start HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
  . 'Content-Length: ' . length($body) . "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
send_all($engine, $head . $body) or stop('engine');
my $got = '';
until ($got =~ /\r\n\r\n/) {
  my $count = sysread($engine, $got, 4096, length $got);
  next if !defined $count && $! == EINTR;
  $count or last;
  length $got < 65536 or last;
}
$got =~ s/^(HTTP\/1\.\d (\d+)[^\r]*).*?\r\n\r\n//s or stop('the engine gave no answer');
my ($answer, $status) = ($1, $2);
if ($status != 101 && $status != 200) {
  note($error_log, "exec failed: $answer $got\n");
  exit 125;
}
fcntl($engine, F_SETFL, fcntl($engine, F_GETFL, 0) | O_NONBLOCK) or stop('engine');

my $pid = 0;
sub find_pid {
  my ($running, $number) = look();
  return if !$running || $number == 0;
  $pid = $number;
  note($pid_file, "$pid\n");
}
if ($mode eq 'tty') {
  find_pid();
  tell_size();
  make_raw() if $has_terminal;
}

# Where the process is another user's or on another kernel, the daemon sends it: its number may be anybody's here. SIGNALS is
# its socket; "EXEC-ID NUMBER" is answered once that is done.
sub hand_over {
  my ($signal) = @_;
  my $daemon = connected($signals);
  if (!defined $daemon || !send_all($daemon, "$exec $signal\n")) {
    print STDERR "casemate-attach: the signal $signal could not be sent: $!\n";
    return;
  }
  my $answer = '';
  while (1) {
    my $count = sysread($daemon, $answer, 64, length $answer);
    next if !defined $count && $! == EINTR;
    last unless $count;
  }
  return if $answer eq "sent\n";
  # None is sent to what has ended meanwhile, and that is no fault.
  my ($running) = look();
  print STDERR "casemate-attach: the signal $signal could not be sent\n" if $running;
}

# The command may print before the engine says which process it is: until then a signal is kept.
sub pass_signals {
  while (@pending) {
    my ($running, $number) = look();
    return if $number == 0;
    my $signal = shift @pending;
    next unless $running && $number > 1;
    if ($signals ne '') { hand_over($signal) } else { kill $signal, $number }
  }
}

# What the engine says when there is no command comes where its output would: it is held back until that is certain.
my $refusal = '';
my ($begun, $held) = (0, '');
sub show {
  my ($stream, $text) = @_;
  if (!$begun) {
    $held .= $text;
    return if length $held < 24 && 'OCI runtime exec failed:' =~ /^\Q$held\E/;
    $begun = 1;
    if ($pid == 0 && $held =~ /^OCI runtime exec failed:/) {
      my ($running, $number) = look();
      if (!$running && $number == 0) {
        $refusal = $held;
        return;
      }
    }
    ($text, $held) = ($held, '');
  }
  if ($refusal ne '') {
    $refusal .= $text if length $refusal < 4096;
    return;
  }
  send_all($stream == 2 ? \*STDERR : \*STDOUT, $text);
}

sub take_frames {
  if ($mode eq 'tty') {
    show(1, $got) if $got ne '';
    $got = '';
    return;
  }
  while (length $got >= 8) {
    my ($stream, $length) = unpack('Cx3N', $got);
    last if length $got < 8 + $length;
    show($stream, substr($got, 8, $length));
    substr($got, 0, 8 + $length) = '';
  }
}

my ($input_open, $to_send) = (1, '');
# The engine agrees before the command runs, and what it is asked meanwhile takes time from that: it is asked a moment later,
# and not at all of a command that is over by then.
sub ASK_AFTER () { 0.15 }
# A signal that is kept is tried again after so long; one that comes between the look at it and the wait is seen after so long.
sub KEPT_FOR () { 0.02 }
sub MISSED_FOR () { 1 }
# A command that goes on without output is asked for so often, and so long after its process has gone.
sub AGAIN_AFTER () { 0.25 }
sub PATIENCE () { 4 }
my $wait = ASK_AFTER;
take_frames();
while (1) {
  pass_signals();
  if ($resized) { $resized = 0; tell_size() }
  my ($readable, $writable) = ('', '');
  vec($readable, fileno($engine), 1) = 1;
  vec($readable, 0, 1) = 1 if $input_open && $to_send eq '';
  vec($writable, fileno($engine), 1) = 1 if $to_send ne '';
  my $patience = @pending ? KEPT_FOR : $pid == 0 ? $wait : MISSED_FOR;
  my ($ready, $left) = select($readable, $writable, undef, $patience);
  next if $ready < 0;
  $wait -= $patience - ($left // 0) if $pid == 0;
  if ($pid == 0 && $wait <= 0) {
    find_pid() if $refusal eq '';
    $wait = ASK_AFTER;
  }
  if (vec($readable, 0, 1)) {
    my $count = sysread(STDIN, $to_send, 65536);
    if (!$count && !(!defined $count && ($! == EINTR || $! == EAGAIN))) {
      $input_open = 0;
      $to_send = '';
      # The end of a terminal would end what runs on it.
      shutdown($engine, 1) if $mode ne 'tty';
    }
  }
  if ($to_send ne '' && vec($writable, fileno($engine), 1)) {
    my $sent = syswrite($engine, $to_send);
    if (defined $sent) {
      substr($to_send, 0, $sent) = '';
    } elsif ($! != EAGAIN && $! != EINTR) {
      # The command reads no more; what it says is still to come.
      ($input_open, $to_send) = (0, '');
    }
  }
  if (vec($readable, fileno($engine), 1)) {
    my $count = sysread($engine, $got, 65536, length $got);
    last if defined $count && $count == 0;
    last if !defined $count && $! != EAGAIN && $! != EINTR;
    take_frames();
  }
}
show(1, '') if !$begun;
if (!$begun && $held ne '') { send_all(\*STDOUT, $held) }

# Whether there is such a process; of one on another kernel the engine alone can say it.
sub is_there {
  my ($number) = @_;
  return $number > 1 && ($signals ne '' || kill(0, $number) || $! == EPERM);
}

my ($running, $number, $code);
# The output ends a moment before the engine has written the end down, or long before: a command may close it and go on.
my ($pause, $patience) = (0.001, PATIENCE);
while (1) {
  pass_signals();
  ($running, $number, $code) = look();
  last if !$running || $patience <= 0;
  $patience = is_there($number) ? PATIENCE : $patience - $pause;
  select(undef, undef, undef, $pause);
  $pause *= 1.5 if $pause < AGAIN_AFTER;
}
if ($refusal ne '' || (!$running && $number == 0 && $pid == 0)) {
  note($error_log, 'exec failed: ' . ($refusal ne '' ? $refusal : 'the engine did not start it') . "\n") if $refusal ne '' || !defined $code;
}
if ($running || !defined $code) {
  print STDERR "casemate-attach: the connection to the engine was lost\n";
  exit 125;
}
exit $code;
