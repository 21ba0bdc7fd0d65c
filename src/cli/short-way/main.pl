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

# What is plain to say before `--`: a switch, a text that goes on as it is, or a text that may be said again.
my %options = (
  exec => { 'no-tty' => 'switch', cwd => 'text', env => 'list' },
  run => { engine => 'text', runtime => 'text', image => 'text', name => 'text', waive => 'list' },
);

# Takes them from the words. Undefined where anything is not plain.
sub plain_options {
  my ($known, $words) = @_;
  my %given;
  while (@$words && $words->[0] ne '--') {
    my ($name) = shift(@$words) =~ /^--([a-z-]+)\z/ or return;
    my $kind = $known->{$name} or return;
    my $value = $kind eq 'switch' ? 1 : shift @$words;
    return if !defined $value || $value !~ /^[^-]/ || ($kind ne 'list' && exists $given{$name});
    push @{ $given{$name} }, $value;
  }
  return \%given;
}

# Fields of the call to `exec`; undefined where an option is not plain after all.
sub exec_fields {
  my ($given, $name, $term) = @_;
  my @variables = map { /^([A-Za-z_][A-Za-z0-9_]*)=(.*)\z/s ? [$1, $2] : return } @{ $given->{env} // [] };
  my %env = ((defined $term ? (TERM => $term) : ()), map { @$_ } @variables);
  my $fields = '"name":' . quoted($name) . ',"env":{' . join(',', map { quoted($_) . ':' . quoted($env{$_}) } keys %env) . '}';
  my ($cwd) = @{ $given->{cwd} // [] };
  return $fields if !defined $cwd;
  # Below the folder that commands begin in; what has another form is made plain by the whole program.
  $cwd = "/workspace/$cwd" if $cwd !~ /^\//;
  return $cwd !~ /^(?:\/[^\/]+)+\z/ || $cwd =~ /\/\.\.?(?:\/|\z)/ ? undef : $fields . ',"cwd":' . quoted($cwd);
}

# Fields of the call to `run`; undefined where the folder we are in cannot be told.
sub run_fields {
  my ($given, $term) = @_;
  my $cwd = working_folder();
  return if !defined $cwd || !is_text($cwd);
  my $waived = list_of(@{ delete $given->{waive} // [] });
  my @texts = map { ',' . quoted($_) . ':' . quoted($given->{$_}[0]) } keys %$given;
  return join '', '"cwd":', quoted($cwd), qq(,"readonly":false,"skipPermissions":false,"waive":$waived,"trust":false,"keep":false),
    @texts, defined $term ? ',"term":' . quoted($term) : '';
}

sub begin {
  my ($method, @words) = @ARGV;
  my $name = $method eq 'exec' ? shift @words : undef;
  take_long_way() if grep { !is_text($_) } @ARGV;
  take_long_way() if !exists $options{$method} || ($method eq 'exec' && ($name // '') !~ /^[^-]/);
  my $given = plain_options($options{$method}, \@words) or take_long_way();
  take_long_way() if (shift @words // '') ne '--' || !@words;
  my $tty = -t STDIN && -t STDOUT && !delete $given->{'no-tty'};
  my $term = $tty ? variable('TERM') : undef;
  take_long_way() if defined $term && !is_text($term);
  my $identity = own_identity() or take_long_way();
  my $fields = $method eq 'exec' ? exec_fields($given, $name, $term) : run_fields($given, $term);
  take_long_way() if !defined $fields;
  my $terminal = $tty ? 'true' . terminal_size() : 'false';
  return ($method, $tty, $fields . ',"command":' . list_of(@words) . qq(,"tty":$terminal,"client":$identity));
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
