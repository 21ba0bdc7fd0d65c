# JSON (RFC 8259). Text is UTF-8 in bytes on both sides.

# Whether JSON can carry these bytes as they are.
sub is_text {
  my ($text) = @_;
  return 1 if $text !~ /[^\x00-\x7f]/;
  return utf8::decode($text) && $text !~ /[^\x00-\x{d7ff}\x{e000}-\x{10ffff}]/;
}

sub quoted {
  my ($text) = @_;
  $text =~ s/(["\\\x00-\x1f])/sprintf '\\u%04x', ord $1/ge;
  return qq{"$text"};
}

sub list_of { return '[' . join(',', map { quoted($_) } @_) . ']' }

# Objects become hashes, lists arrays, true 1, false 0. Dies where the text is none.
sub parsed {
  local ($_) = @_;
  pos = 0;
  my $value = next_value();
  skip_space();
  /\G\z/gc or die;
  return $value;
}

sub skip_space { /\G[ \t\r\n]+/gc }

sub next_value {
  skip_space();
  return next_string() if /\G"/gc;
  return next_object() if /\G\{/gc;
  return next_list() if /\G\[/gc;
  return $1 if /\G(-?[0-9][0-9.eE+-]*)/gc;
  return 1 if /\Gtrue/gc;
  return 0 if /\Gfalse/gc;
  return undef if /\Gnull/gc;
  die;
}

sub next_object {
  my %found;
  skip_space();
  return \%found if /\G\}/gc;
  while (1) {
    skip_space();
    /\G"/gc or die;
    my $name = next_string();
    skip_space();
    /\G:/gc or die;
    $found{$name} = next_value();
    skip_space();
    return \%found if /\G\}/gc;
    /\G,/gc or die;
  }
}

sub next_list {
  my @found;
  skip_space();
  return \@found if /\G\]/gc;
  while (1) {
    push @found, next_value();
    skip_space();
    return \@found if /\G\]/gc;
    /\G,/gc or die;
  }
}

my %escapes = ('"' => '"', '\\' => '\\', '/' => '/', b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
sub next_string {
  my $text = '';
  while (1) {
    $text .= $1 if /\G([^"\\]+)/gc;
    return $text if /\G"/gc;
    if (/\G\\u([0-9a-fA-F]{4})/gc) {
      $text .= character(hex $1);
    } elsif (/\G\\(["\\\/bfnrt])/gc) {
      $text .= $escapes{$1};
    } else {
      die;
    }
  }
}

# Half a pair alone is no character; it becomes what Node makes of it.
sub character {
  my ($code) = @_;
  if ($code >= 0xd800 && $code < 0xdc00 && /\G\\u([dD][c-fC-F][0-9a-fA-F]{2})/gc) {
    $code = 0x10000 + (($code - 0xd800) << 10) + (hex($1) - 0xdc00);
  }
  my $character = chr($code >= 0xd800 && $code < 0xe000 ? 0xfffd : $code);
  utf8::encode($character);
  return $character;
}
