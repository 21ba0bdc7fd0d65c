# One command from its arguments to its exit code: cli/commands/exec.ts, cli/commands/run.ts and cli/session/session.ts.

# What is left to do once the daemon was asked, for `casemate session end`: it has the words, and the way to another daemon.
sub helper {
  pipe(my $read, my $write) or exit 125;
  my $pid = fork // exit 125;
  if ($pid == 0) {
    # Keys at the terminal are for the command.
    syscall($numbers->{setsid});
    $SIG{$_} = 'DEFAULT' for @passed_on;
    open(STDIN, '<&', $read) or exit 125;
    long_way('session', 'end');
  }
  close $read;
  select((select($write), $| = 1)[0]);
  return { pid => $pid, to => $write };
}

sub hand_on {
  my ($story, $helper) = @_;
  $helper //= helper();
  print { $helper->{to} } "{$story}\n";
  close $helper->{to};
  waitpid($helper->{pid}, 0);
  exit($? & 127 ? 125 : $? >> 8);
}

# Made from the folder we are in; one that was removed, or cannot be seen, is not plain.
sub working_folder {
  my $path = readlink('/proc/self/cwd') // '';
  my @own = stat '.' or return;
  my @named = stat $path or return;
  return $path =~ /^\// && $own[0] == $named[0] && $own[1] == $named[1] ? $path : undef;
}

# Rows and columns; one that says 0, as some do before they are drawn, has none yet.
sub terminal_size {
  my $size = "\0" x 8;
  ioctl(STDOUT, TIOCGWINSZ, $size) or return '';
  my ($rows, $columns) = unpack('SS', $size);
  return $rows > 0 && $columns > 0 ? qq(,"terminalSize":{"rows":$rows,"columns":$columns}) : '';
}

sub begin {
  my ($method, @words) = @ARGV;
  my $name = $method eq 'exec' ? shift @words : undef;
  my $has_no_tty = $method eq 'exec' && @words && $words[0] eq '--no-tty';
  shift @words if $has_no_tty;
  my $dashes = shift @words // '';
  my $is_plain = ($method eq 'exec' ? ($name // '') =~ /^[^-]/ : $method eq 'run') && $dashes eq '--' && @words;
  my $term = variable('TERM');
  take_long_way() if !$is_plain || grep { !is_text($_) } $name // '', @words, $term // '';
  my $tty = -t STDIN && -t STDOUT && !$has_no_tty;
  my $identity = own_identity() or take_long_way();
  my $params = '"command":' . list_of(@words) . ',"tty":' . ($tty ? 'true' . terminal_size() : 'false') . qq(,"client":$identity);
  if ($method eq 'exec') {
    my $env = $tty && defined $term ? '{"TERM":' . quoted($term) . '}' : '{}';
    return ($method, $tty, '"name":' . quoted($name) . qq(,"env":$env,$params));
  }
  my $cwd = working_folder();
  take_long_way() if !defined $cwd || !is_text($cwd);
  $params .= ',"term":' . quoted($term) if $tty && defined $term;
  return ($method, $tty, '"cwd":' . quoted($cwd) . qq(,"readonly":false,"skipPermissions":false,"waive":[],"trust":false,"keep":false,$params));
}

my ($method, $tty, $params) = begin();
greet() or take_long_way();
# A person has to be asked. Until that is answered nothing was made, and a caller that hangs up has said no.
my $fit = sub { take_long_way() if $_[0]{kind} ne 'environment' };
my ($line, $opened) = call(1, $method, "{$params}", $fit);
hand_on(defined $line ? qq("answer":$line) : '') if !defined $line || $opened->{type} ne 'result';

my ($invocation, $execution) = ($opened->{value}{invocation}, $opened->{value}{executionId});
my $about = qq("executionId":"$execution");
# A daemon that was killed is found again, or another started, while the command goes on.
my $in_touch;
my $look = sub {
  my $count = sysread($daemon, $received, 65536, length $received);
  return if $count || (!defined $count && $! == EINTR);
  undef $daemon;
  $in_touch = helper();
  print { $in_touch->{to} } "{$about}\n";
};
my ($code, $fault) = carry($invocation, $tty, $opened->{value}{logFile}, $look);
# The runtime may have written why it could not start the command.
$fault //= '"errorLog":' . quoted($invocation->{errorLog}) if $code != 0 && -s $invocation->{errorLog};
my $end = qq($about,"exitCode":$code);
hand_on($end . (defined $fault ? ",$fault" : ''), $in_touch) if $in_touch || defined $fault;
($line, my $closed) = call(2, 'close', "{$end}", sub { });
hand_on($end) if !defined $line;
my ($value, $found) = ($closed->{value}, $closed->{value}{repositories});
hand_on(qq("exitCode":$code,"answer":$line))
  if $closed->{type} ne 'result' || $value->{timedOut} || !$found->{complete} || @{ $found->{paths} };
exit $code;
