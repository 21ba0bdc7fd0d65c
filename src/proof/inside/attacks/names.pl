# Tries to make, change, replace, move and alias names of a workspace, by every way a file system knows. Runs in a sandbox of
# the lab; what came of it is judged on the host. GIVEN: the folder, a word for what is planted, then the names.
my ($TOP, $PLANT, @NAMES) = @main::GIVEN;
my %NAME_CALL = $X86
    ? (renameat2 => 316, linkat => 265, openat => 257, mknodat => 259, mount => 165, umount2 => 166, truncate => 76, setxattr => 188, utimensat => 280, openat2 => 437)
    : (renameat2 => 276, linkat => 37, openat => 56, mknodat => 33, mount => 40, umount2 => 39, truncate => 45, setxattr => 5, utimensat => 88, openat2 => 437);
my $HERE = -100;
my $count = 0;

sub named { my ($call, @arguments) = @_; return tried {; syscall($NAME_CALL{$call}, @arguments) != -1 } }
# things of its own to put in place of others
sub own_file { my $path = "$TOP/.own-file-" . ++$count; open(my $file, '>', $path) or return $path; print $file $PLANT; close $file; return $path }
sub own_folder { my $path = "$TOP/.own-folder-" . ++$count; mkdir $path; for my $name ('config', 'hooks', 'planted') { if (open(my $file, '>', "$path/$name")) { print $file $PLANT; close $file } } return $path }
sub write_in { my ($path, $mode) = @_; return tried {; my $file; open($file, $mode, $path) && print($file $PLANT) && close($file) } }
sub parents { my @parts = split m{/}, shift; pop @parts; return map { join '/', @parts[0 .. $_] } 0 .. $#parts }

# One way of attack by name; each gets the name and its path.
my %WAY = (
    'write over' => sub { write_in($_[1], '>') },
    'append' => sub { write_in($_[1], '>>') },
    'truncate' => sub { named('truncate', $_[1], 0) },
    'write below' => sub { write_in("$_[1]/planted", '>') },
    'make a folder below' => sub { tried {; mkdir "$_[1]/planted-folder" } },
    'make as a folder' => sub { my $done = tried {; mkdir $_[1] }; write_in("$_[1]/planted", '>'); $done },
    'remove' => sub { tried {; unlink $_[1] } },
    'remove as a folder' => sub { tried {; rmdir $_[1] } },
    'move away' => sub { tried {; rename $_[1], "$TOP/.moved-" . ++$count } },
    'put a file over' => sub { tried {; rename own_file(), $_[1] } },
    'put a folder over' => sub { tried {; rename own_folder(), $_[1] } },
    'exchange with a file' => sub { named('renameat2', $HERE, own_file(), $HERE, $_[1], 2) },
    'exchange with a folder' => sub { named('renameat2', $HERE, own_folder(), $HERE, $_[1], 2) },
    'put in if absent' => sub { named('renameat2', $HERE, own_file(), $HERE, $_[1], 1) },
    'link a file there' => sub { tried {; link own_file(), $_[1] } },
    'link a symbolic link there' => sub { tried {; symlink "$TOP/.own-target", $_[1] } },
    'alias by a hard link and write to that' => sub { my $alias = "$TOP/.alias-" . ++$count; my $done = tried {; link $_[1], $alias }; write_in($alias, '>') if $done eq 'DONE'; $done },
    'link an unnamed file there' => sub { my $fd = syscall($NAME_CALL{openat}, $HERE, $TOP, 020200000 | 2, 0644); $fd < 0 ? errname() : named('linkat', $HERE, "/proc/self/fd/$fd", $HERE, $_[1], 0x400) },
    'make a pipe' => sub { named('mknodat', $HERE, $_[1], 0010644, 0) },
    'make a socket' => sub { named('mknodat', $HERE, $_[1], 0140644, 0) },
    'change its mode' => sub { tried {; chmod 0777, $_[1] } },
    'change its times' => sub { my $times = pack('q4', 1, 0, 1, 0); named('utimensat', $HERE, $_[1], $times, 0) },
    'set an attribute' => sub { my ($name, $value) = ('user.planted', 'x'); named('setxattr', $_[1], $name, $value, 1, 0) },
    'mount over it' => sub { my ($type, $none) = ('tmpfs', 'none'); named('mount', $none, $_[1], $type, 0, 0) },
    'unmount it' => sub { named('umount2', $_[1], 2) },
    'by its way through /proc' => sub { write_in("/proc/self/cwd/$_[0]", '>>') },
    'by a way around' => sub { mkdir "$TOP/.around"; write_in("$TOP/.around/../$_[0]", '>>') },
    'by an open folder' => sub { opendir(my $folder, "$TOP/$_[2]") or return errname(); my ($last) = $_[0] =~ m{([^/]+)$}; my $how = 0101; my $fd = syscall($NAME_CALL{openat}, fileno($folder), $last, $how, 0644); $fd < 0 ? errname() : 'DONE' },
    'move a folder above it away' => sub { my $seen = 'none above'; for my $parent (parents($_[0])) { my $moved = "$TOP/.parent-" . ++$count; $seen = tried {; rename "$TOP/$parent", $moved }; if ($seen eq 'DONE') { mkdir "$TOP/$parent"; write_in($_[1], '>') } } $seen },
    'exchange a folder above it' => sub { my $seen = 'none above'; for my $parent (parents($_[0])) { $seen = named('renameat2', $HERE, own_folder(), $HERE, "$TOP/$parent", 2) } $seen },
    'put a link in place of a folder above it' => sub { my $seen = 'none above'; for my $parent (parents($_[0])) { $seen = tried {; (rmdir "$TOP/$parent") && symlink own_folder(), "$TOP/$parent" } } $seen },
);

# Names that some file systems take for the same: by case, by characters that are left out, by short forms, by end.
sub aliases {
    my $name = shift;
    my ($first, $rest) = $name =~ m{^([^/]+)(.*)$};
    return map { "$_$rest" } (uc $first, ucfirst lc $first, substr($first, 0, 2) . "\x{e2}\x{80}\x{8c}" . substr($first, 2), "$first\x{e2}\x{80}\x{8d}", "$first.", "$first ", "$first::\$INDEX_ALLOCATION", 'GIT~1', "$first\\", "./$first", "$first/.");
}

$Q{attack_names} = [ sub {
    chdir $TOP;
    my %seen;
    for my $name (@NAMES) {
        my ($above) = $name =~ m{^(.*)/}; $above //= '.';
        for my $way (sort keys %WAY) { my $answer = $WAY{$way}->($name, "$TOP/$name", $above); push @{ $seen{$way} }, $name if $answer eq 'DONE' }
        for my $alias (aliases($name)) {
            mkdir "$TOP/$_" for parents($alias);
            write_in("$TOP/$alias", '>>'); mkdir "$TOP/$alias"; write_in("$TOP/$alias/planted", '>');
        }
    }
    return { map { $_ => join(' ', @{ $seen{$_} }) } keys %seen };
}, 60 ];
$Q{legal_names} = sub {
    my $path = "$TOP/legal-$$"; my $seen = write_in($path, '>'); my $again = tried {; rename $path, "$TOP/legal" };
    return { write => $seen, rename => $again, read => tried {; open(my $file, '<', "$TOP/README.md") } };
};
