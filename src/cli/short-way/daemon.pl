# The way to the daemon: system/paths.ts, daemon/build-id.ts, daemon/protocol.ts and daemon/client.ts, for what is plain.

# An empty one counts as absent.
sub variable {
  my ($name) = @_;
  my $value = $ENV{$name};
  return defined $value && $value ne '' ? $value : undef;
}

# Undefined where the whole program has something to say of it, or would write the path in another way.
sub socket_path {
  my $images = variable('CASEMATE_IMAGES');
  return if defined $images && $images !~ /^\//;
  my ($root, $runtime, $home) = map { variable($_) } qw(CASEMATE_HOME XDG_RUNTIME_DIR HOME);
  return if !defined $home;
  my $folder =
      defined $root ? "$root/run"
    : defined $runtime && $runtime =~ /^\// ? "$runtime/casemate"
    : $> == 0 ? '/run/casemate'
    :           "$home/.local/state/casemate/run";
  return if $folder !~ /^(?:\/[^\/]+)+\z/ || $folder =~ /\/\.\.?(?:\/|\z)/;
  return "$folder/daemon.sock";
}

# Undefined or in another spelling than the daemon's: the whole program sees whether it is the same folder.
sub state_folder {
  my ($root, $state, $home) = map { variable($_) } qw(CASEMATE_HOME XDG_STATE_HOME HOME);
  return "$root/state" if defined $root;
  return defined $state && $state =~ /^\// ? "$state/casemate" : "$home/.local/state/casemate";
}

# Of the program that lies beside this file, wherever the link to it lies.
sub build_id {
  sysopen(my $self, $0, 0) or return;
  my $place = readlink('/proc/self/fd/' . fileno $self) or return;
  $place =~ s/[^\/]*\z//;
  my $changed = (stat "${place}casemate.js")[9] or return;
  return "$VERSION+$changed";
}

# Who we are, so that the daemon can tell whether the owner of a command still lives: system/process-identity.ts.
sub own_identity {
  my ($stat, $boot) = map { read_small($_) } "/proc/$$/stat", '/proc/sys/kernel/random/boot_id';
  $stat =~ s/^.*\) //s or return;
  my $ticks = (split / /, $stat)[19] or return;
  return qq({"pid":$$,"startTicks":"$ticks") . ($boot =~ /^([0-9a-f-]+)$/ ? qq(,"boot":"$1"}) : '}');
}

sub read_small {
  my ($path) = @_;
  my $text = '';
  sysopen(my $file, $path, 0) or return '';
  sysread($file, $text, 4096);
  return $text;
}

my ($daemon, $received) = (undef, '');

sub send_line {
  my $text = "$_[0]\n";
  while ($text ne '') {
    my $sent = syswrite($daemon, $text);
    next if !defined $sent && $! == EINTR;
    return 0 unless defined $sent;
    substr($text, 0, $sent) = '';
  }
  return 1;
}

# Undefined where the connection has ended. Both as it came and read.
sub next_message {
  my $end;
  while (($end = index($received, "\n")) < 0) {
    return if length $received > MAX_LINE;
    my $count = sysread($daemon, $received, 65536, length $received);
    next if !defined $count && $! == EINTR;
    return unless $count;
  }
  my $line = substr($received, 0, $end);
  substr($received, 0, $end + 1) = '';
  my $message = eval { parsed($line) };
  return ref $message eq 'HASH' ? ($line, $message) : ();
}

# False: none is there, or it is of another build or keeps its state elsewhere.
sub greet {
  my $path = socket_path();
  my $build = build_id();
  return if !defined $path || !defined $build || length $path > 107;
  socket($daemon, AF_UNIX, SOCK_STREAM, 0) && connect($daemon, pack('Sa108', AF_UNIX, $path)) or return;
  my (undef, $hello) = next_message() or return;
  return if ($hello->{type} // '') ne 'hello' || ($hello->{build} // '') ne $build;
  return !defined $hello->{state} || $hello->{state} eq state_folder();
}

# The answer, as it came and read; undefined where the daemon has ended. `fit` is asked about each question and may not return.
sub call {
  my ($id, $method, $params, $fit) = @_;
  send_line(qq({"type":"call","id":$id,"method":"$method","params":$params})) or return;
  while (my ($line, $message) = next_message()) {
    my $type = $message->{type} // '';
    if ($type eq 'progress') {
      print STDERR visible($message->{text}), "\n";
    } elsif ($type eq 'ask') {
      $fit->($message->{question});
      send_line(qq({"type":"answer","id":$id,"value":) . variables($message->{question}{names}) . '}');
    } elsif (($type eq 'result' || $type eq 'error') && $message->{id} == $id) {
      return ($line, $message);
    }
  }
  return;
}

sub variables {
  my ($names) = @_;
  my @given;
  for my $name (@$names) {
    my $value = variable($name);
    # Where programs are is none of the daemon's business; the whole program leaves out what of it lies in the project.
    next if !defined $value || $name eq 'PATH';
    $value =~ s/[^\x00-\x7f]/\xef\xbf\xbd/g if !is_text($value);
    push @given, quoted($name) . ':' . quoted($value);
  }
  return '{' . join(',', @given) . '}';
}

# Of base/text.ts: what can drive a terminal or reorder what a person reads is shown as an escape.
sub visible {
  my ($text) = @_;
  utf8::decode($text);
  # Controls, format characters and separators one by one: what perl knows of Unicode differs with its version.
  $text =~ s/([\x{0}-\x{1f}\x{7f}-\x{9f}\x{ad}\x{600}-\x{605}\x{61c}\x{6dd}\x{70f}\x{890}\x{891}\x{8e2}\x{180e}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{110bd}\x{110cd}\x{13430}-\x{1343f}\x{1bca0}-\x{1bca3}\x{1d173}-\x{1d17a}\x{e0001}\x{e0020}-\x{e007f}])/
    ord $1 < 0x100 ? sprintf '\\x%02x', ord $1 : sprintf '\\u{%x}', ord $1/gex;
  utf8::encode($text);
  return $text;
}
