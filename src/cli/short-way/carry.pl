# What runs the command inside is started and lent this terminal or these pipes, byte for byte: cli/session/attach.ts.

my @signals;
my @passed_on = qw(INT QUIT TERM HUP USR1 USR2);

# Gives the exit code, and what went wrong as a JSON field for `hand_on`. `more` is called when there is something of the daemon to read.
sub carry {
  my ($invocation, $tty, $log_file, $more) = @_;
  my $log = $tty ? undef : open_log($log_file);
  my @streams = $tty ? () : (stream(\*STDOUT), stream(\*STDERR));
  # Only what keeps exec from starting the program is written to it.
  pipe(my $said, my $say) or return (125, unstarted($invocation));
  # With a terminal the keys reach the command as bytes, and its own interrupts the whole group.
  catch_signals($tty);
  my $child = fork;
  return (125, unstarted($invocation)) if !defined $child;
  become($invocation, $say, @streams) if $child == 0;
  close $say;
  close delete $_->{end} for @streams;
  my $status = attend($child, $log, $more, @streams);
  $SIG{$_} = 'DEFAULT' for @passed_on;
  sysread($said, my $errno, 16);
  $! = $errno, return (125, unstarted($invocation)) if $errno;
  my ($lost) = grep { defined } map { $_->{lost} } @streams;
  return (125, qq("unwritable":$lost)) if defined $lost;
  return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}

sub unstarted {
  my ($invocation) = @_;
  return '"unstarted":{"file":' . quoted($invocation->{file}) . ',"errno":' . ($! + 0) . '}';
}

sub stream {
  my ($to) = @_;
  pipe(my $from, my $end) or exit 125;
  # What is not kept in a file has room for so much at least, once it has room: nothing then waits for who reads it.
  return { from => $from, end => $end, to => $to, held => '', step => -f $to ? 65536 : 4096 };
}

# In the new process. Without a terminal it leads a session of its own: a signal then reaches it once, through us.
sub become {
  my ($invocation, $say, @streams) = @_;
  $SIG{$_} = 'DEFAULT' for @passed_on, qw(PIPE TSTP TTIN TTOU ALRM WINCH);
  # One that came before that would be lost: who sent it does not send it again.
  kill $_, $$ for @signals;
  if (@streams) {
    syscall($numbers->{setsid});
    my ($out, $err) = map { $_->{end} } @streams;
    open(STDOUT, '>&', $out) && open(STDERR, '>&', $err) or leave($say);
  }
  close_others(fileno $say);
  my ($file, @arguments) = ($invocation->{file}, @{ $invocation->{args} });
  %ENV = %{ $invocation->{env} };
  local $^W = 0;
  exec { $file } $file, @arguments or leave($say);
}

# What our caller left open is not for the runtime.
sub close_others {
  my ($kept) = @_;
  opendir(my $list, '/proc/self/fd') or exit 125;
  my @open = grep { /^\d+$/ && $_ > 2 && $_ != $kept } readdir $list;
  closedir $list;
  for (@open) {
    open(my $handle, '<&=', $_) or next;
    close $handle;
  }
}

sub leave {
  my ($say) = @_;
  syswrite($say, $! + 0);
  kill 'KILL', $$;
}

sub catch_signals {
  my ($tty) = @_;
  my $own = $$;
  for my $name (@passed_on) {
    # Of the keys of a terminal the new process has got its own, which is for the command.
    $SIG{$name} = $tty && $name =~ /^(?:INT|QUIT)$/ ? sub { push @signals, $name if $$ != $own } : sub { push @signals, $name };
  }
}

# Until the command has ended and all it printed is passed on. A process it left behind may hold its output open.
sub attend {
  my ($child, $log, $more, @streams) = @_;
  # pidfd_open(2), of the same number everywhere; without it the end of a command on a terminal is looked for.
  my $ending = syscall(434, $child, 0);
  my $status;
  while (1) {
    while (defined(my $name = shift @signals)) {
      kill $name, $child if !defined $status;
    }
    my @open = grep { $_->{from} } @streams;
    last if defined $status && !@open;
    my ($readable, $writable) = ('', '');
    vec($readable, $ending, 1) = 1 if $ending >= 0 && !defined $status;
    vec($readable, fileno $daemon, 1) = 1 if $daemon;
    for (@open) {
      my $waits = $_->{held} ne '';
      vec($waits ? $writable : $readable, fileno($waits ? $_->{to} : $_->{from}), 1) = 1;
    }
    # A signal that comes between the look at it and this waits for so long at most.
    my $ready = select($readable, $writable, undef, $ending < 0 && !defined $status ? 0.01 : 1);
    ($readable, $writable) = ('', '') if $ready <= 0;
    pass($_, $log, $readable, $writable) for @open;
    $more->() if $daemon && vec($readable, fileno $daemon, 1);
    $status = ended($child) if !defined $status && ($ending < 0 || vec($readable, $ending, 1));
  }
  return $status;
}

sub ended {
  my ($child) = @_;
  return waitpid($child, 1) == 0 ? undef : $?;
}

# One piece at most: the other stream, and whoever reads that, is not kept waiting.
sub pass {
  my ($stream, $log, $readable, $writable) = @_;
  if ($stream->{held} eq '') {
    return if !vec($readable, fileno $stream->{from}, 1);
    my $count = sysread($stream->{from}, $stream->{held}, 65536);
    return if !defined $count && $! == EINTR;
    return close delete $stream->{from} if !$count;
    keep($log, $stream->{held}) if $log;
    return if $stream->{step} < 65536;
  } elsif (!vec($writable, fileno $stream->{to}, 1)) {
    return;
  }
  my $sent = syswrite($stream->{to}, $stream->{held}, $stream->{step});
  if (defined $sent) {
    substr($stream->{held}, 0, $sent) = '';
  } elsif ($! != EINTR && $! != EAGAIN) {
    # A reader of ours that went away closes the pipe, so that the command notices.
    $stream->{lost} = $! + 0 if $! != EPIPE;
    $stream->{held} = '';
    close delete $stream->{from};
  }
}

# What a command without a terminal prints, kept for `casemate logs`: daemon/output-log.ts.
sub open_log {
  my ($path) = @_;
  # O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW
  sysopen(my $file, $path, 01 | 0100 | 02000 | $numbers->{nofollow}, 0600) or return give_up();
  return { file => $file, room => MAX_LOG };
}

sub keep {
  my ($log, $piece) = @_;
  my $kept = substr($piece, 0, $log->{room});
  $log->{room} -= length $kept;
  return if $kept eq '' || syswrite($log->{file}, $kept);
  $log->{room} = 0;
  give_up();
}

sub give_up {
  print STDERR "casemate: output is not kept for casemate logs: $!\n";
  return;
}
