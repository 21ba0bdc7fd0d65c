# Sends files out of a sandbox or takes files in, as frames over standard output and input. It runs inside, as the agent.
#
# Arguments: get PATH MAX-FILES MAX-BYTES PLACEHOLDERS (names between line feeds; sockets of these names are skipped) | put PATH
# OVERWRITE NAME
#
# A frame is "D MODE 0 LENGTH\n" NAME, or "F MODE SIZE LENGTH\n" NAME CONTENT SHA256 "\n"; "R LENGTH\n" WHY ends everything with
# a reason, "E\n" ends it well. NAME is relative to PATH and empty for PATH itself. Links are not followed below PATH.
use strict;
use warnings;
use Digest::SHA;
use Fcntl qw(O_RDONLY O_WRONLY O_CREAT O_EXCL O_NOFOLLOW O_NONBLOCK O_DIRECTORY);

my ($mode, $top, @rest) = @ARGV;
binmode STDIN;
binmode STDOUT;
$| = 0;

# What a file is written to until it is whole.
my $draft;
END { unlink $draft if defined $draft }
$SIG{$_} = sub { exit 1 } for qw(HUP INT PIPE TERM);

sub refuse {
  my ($why) = @_;
  print STDOUT 'R ', length($why), "\n", $why;
  close STDOUT;
  exit 0;
}

sub shown {
  my ($name) = @_;
  return $name eq '' ? $top : "$top/$name";
}

my %placeholders = $mode eq 'get' ? map { $_ => 1 } split /\n/, $rest[2] : ();

sub is_sent {
  my ($folder, $name) = @_;
  return 0 if $name eq '.' || $name eq '..';
  return !($placeholders{$name} && -S "$folder/$name" && !-l "$folder/$name");
}

my ($files, $bytes) = (0, 0);

sub send_one {
  my ($name, $depth) = @_;
  my $path = shown($name);
  my @seen = lstat $path or refuse("$path: $!");
  if (-l _) { refuse("$path is a symbolic link") }
  if (-d _) {
    if ($depth > 64) { refuse("$path is too deep") }
    printf STDOUT "D %o 0 %d\n%s", $seen[2] & 0755, length $name, $name;
    opendir my $folder, $path or refuse("$path: $!");
    my @names = sort grep { is_sent($path, $_) } readdir $folder;
    closedir $folder;
    send_one($name eq '' ? $_ : "$name/$_", $depth + 1) for @names;
    return;
  }
  if (!-f _) { refuse("$path is neither a file nor a folder") }
  # Files of the image may be shared between images: links that the agent could have made are its own.
  if ($seen[3] > 1 && $seen[4] == $>) { refuse("$path is a hard link") }
  sysopen my $file, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK or refuse("$path: $!");
  my @held = stat $file;
  if (!-f _ || $held[0] != $seen[0] || $held[1] != $seen[1]) { refuse("$path changed meanwhile") }
  my $size = $held[7];
  count($size);
  printf STDOUT "F %o %d %d\n%s", ($held[2] & 0100 ? 0755 : 0644), $size, length $name, $name;
  my $hash = Digest::SHA->new(256);
  my $left = $size;
  while ($left > 0) {
    my $count = sysread $file, my $piece, $left < 65536 ? $left : 65536;
    # The reader counts on this many bytes: there is no way on but to end.
    if (!$count) { close STDOUT; exit 1 }
    $hash->add($piece);
    print STDOUT $piece;
    $left -= $count;
  }
  print STDOUT $hash->hexdigest, "\n";
}

# What is too much is said before anything is sent. Sending counts again: it may be more by then.
sub count_one {
  my ($path, $depth) = @_;
  my @seen = lstat $path or refuse("$path: $!");
  if (-d _ && !-l _) {
    if ($depth > 64) { refuse("$path is too deep") }
    opendir my $folder, $path or refuse("$path: $!");
    my @names = grep { is_sent($path, $_) } readdir $folder;
    closedir $folder;
    count_one("$path/$_", $depth + 1) for @names;
  } else {
    count($seen[7]);
  }
}

sub count {
  my ($size) = @_;
  $files += 1;
  $bytes += $size;
  if ($files > $rest[0]) { refuse("there are more than $rest[0] files") }
  if ($bytes > $rest[1]) { refuse("there are more than $rest[1] bytes") }
}

sub take_bytes {
  my ($count) = @_;
  my $taken = '';
  while (length $taken < $count) {
    my $got = read STDIN, $taken, $count - length $taken, length $taken;
    if (!$got) { refuse('the sender ended too early') }
  }
  return $taken;
}

sub make_parents {
  my ($path) = @_;
  my @parts = split m{/}, $path;
  pop @parts;
  my $so_far = '';
  for my $part (@parts) {
    $so_far .= "$part/";
    if ($so_far ne '/' && !-d $so_far) { mkdir $so_far, 0755 or refuse("$so_far: $!") }
  }
}

sub take_file {
  my ($path, $file_mode, $size) = @_;
  if (!$rest[0] && (-e $path || -l $path)) { refuse("$path exists") }
  if (-d $path && !-l $path) { refuse("$path is a folder") }
  make_parents($path);
  my $place = "$path.casemate-$$";
  sysopen my $file, $place, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600 or refuse("$path: $!");
  $draft = $place;
  my $hash = Digest::SHA->new(256);
  my $left = $size;
  while ($left > 0) {
    my $piece = take_bytes($left < 65536 ? $left : 65536);
    $hash->add($piece);
    my $done = 0;
    while ($done < length $piece) {
      my $count = syswrite $file, $piece, length($piece) - $done, $done;
      if (!defined $count) { refuse("$path: $!") }
      $done += $count;
    }
    $left -= length $piece;
  }
  my $wanted = take_bytes(65);
  if ($wanted ne $hash->hexdigest . "\n") { refuse("$path arrived changed") }
  chmod $file_mode & 0755, $file;
  close $file or refuse("$path: $!");
  rename $draft, $path or refuse("$path: $!");
  $draft = undef;
  # What is there now is read again: the answer is about the disk, not about the way to it.
  open my $again, '<:raw', $path or refuse("$path: $!");
  print STDOUT 'H ', Digest::SHA->new(256)->addfile($again)->hexdigest, "\n";
}

if ($mode eq 'get') {
  if (-l $top) { refuse("$top is a symbolic link") }
  count_one($top, 0);
  ($files, $bytes) = (0, 0);
  send_one('', 0);
} else {
  # Into a folder that is there it goes under its own name, as with cp.
  if (-d $top || $top =~ m{/$}) {
    $top =~ s{/*$}{};
    $top .= "/$rest[1]";
    print STDOUT "I\n";
  }
  while (defined(my $line = <STDIN>)) {
    last if $line eq "E\n";
    my ($kind, $oct, $size, $length) = $line =~ /^([DF]) ([0-7]{1,4}) (\d{1,15}) (\d{1,5})\n$/ or refuse('a frame is damaged');
    my $name = take_bytes($length);
    my $path = shown($name);
    if ($kind eq 'F') {
      take_file($path, oct $oct, $size);
    } elsif (!-d $path) {
      make_parents($path);
      mkdir $path, 0755 or refuse("$path: $!");
    }
  }
}
print STDOUT "E\n";
close STDOUT or exit 1;
