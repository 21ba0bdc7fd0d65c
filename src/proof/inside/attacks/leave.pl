# Leaves in a folder what must not be left on a host: files that give ids, that belong to others, that are devices. Runs in a
# sandbox of the lab, as the agent and as root of its namespace. GIVEN: the folder, and a word that begins every name.
my ($FOLDER, $WORD) = @main::GIVEN;
my %LEAVE = $X86
    ? (chmod => 90, fchmod => 91, creat => 85, open => 2, openat => 257, mknod => 133, mknodat => 259, mkdir => 83, lchown => 94, setxattr => 188, linkat => 265, fchmodat => 268, fchmodat2 => 452, ioctl => 16)
    : (fchmod => 52, openat => 56, mknodat => 33, setxattr => 5, linkat => 37, fchmodat => 53, fchmodat2 => 452, ioctl => 29);
my $AT = -100;
sub leaving { my ($name, @arguments) = @_; return exists $LEAVE{$name} ? tried {; syscall($LEAVE{$name}, @arguments) != -1 } : 'no such call' }
sub made { my ($what) = @_; my $path = "$FOLDER/$WORD-$what"; my $file; open($file, '>', $path) and close $file; return $path }

$Q{left_ordinary} = sub {
    my %seen;
    $seen{file} = tried {; my $file; open($file, '>', "$FOLDER/$WORD-file") && print $file 'left' };
    $seen{folder} = tried {; mkdir "$FOLDER/$WORD-folder" };
    $seen{link} = tried {; symlink '/etc/passwd', "$FOLDER/$WORD-link" };
    $seen{pipe} = leaving('mknodat', $AT, "$FOLDER/$WORD-pipe", 0010644, 0);
    return \%seen;
};
$Q{left_set_id} = sub {
    my %seen;
    for my $mode (04755, 02755, 06755) {
        my $octal = sprintf('%o', $mode);
        my $file = made("mode-$octal");
        $seen{"chmod $octal"} = leaving('chmod', $file, $mode);
        $seen{"fchmodat $octal"} = leaving('fchmodat', $AT, $file, $mode, 0);
        $seen{"fchmodat2 $octal"} = leaving('fchmodat2', $AT, $file, $mode, 0);
        if (open(my $handle, '+<', $file)) { $seen{"fchmod $octal"} = leaving('fchmod', fileno($handle), $mode) }
        $seen{"creat $octal"} = leaving('creat', "$FOLDER/$WORD-creat-$octal", $mode);
        $seen{"open $octal"} = leaving('open', "$FOLDER/$WORD-open-$octal", 0101, $mode);
        $seen{"openat $octal"} = leaving('openat', $AT, "$FOLDER/$WORD-openat-$octal", 0101, $mode);
        $seen{"mknodat $octal"} = leaving('mknodat', $AT, "$FOLDER/$WORD-mknod-$octal", 0100000 | $mode, 0);
        $seen{"mkdir $octal"} = leaving('mkdir', "$FOLDER/$WORD-mkdir-$octal", $mode);
        my $unnamed = exists $LEAVE{openat} ? syscall($LEAVE{openat}, $AT, $FOLDER, 020200000 | 2, $mode) : -1;
        if ($unnamed >= 0) { $seen{"linkat $octal"} = leaving('linkat', $AT, "/proc/self/fd/$unnamed", $AT, "$FOLDER/$WORD-unnamed-$octal", 0x400) }
    }
    return \%seen;
};
$Q{left_owners} = sub {
    my %seen;
    for my $id (0, 5, 1000, 65534) { my $file = made("owner-$id"); $seen{"chown $id"} = tried {; chown($id, $id, $file) } }
    for my $id (0, 1, 1000) { my $file = made("group-$id"); $seen{"chgrp $id"} = tried {; chown(-1, $id, $file) } }
    return \%seen;
};
$Q{left_devices} = sub {
    my %seen = ('memory' => [0020666, 1, 1], 'null' => [0020666, 1, 3], 'disk' => [0060666, 8, 0], 'terminal' => [0020666, 5, 0]);
    return { map { my ($mode, $major, $minor) = @{ $seen{$_} }; ("$_ device" => leaving('mknodat', $AT, "$FOLDER/$WORD-device-$_", $mode, ($major << 8) | $minor)) } keys %seen };
};
$Q{left_attributes} = sub {
    my %seen;
    my %values = ('security.capability' => "\1\0\0\2" . "\xff" x 16, 'trusted.left' => 'x', 'security.ima' => 'x', 'system.posix_acl_access' => pack('L S S L S S L S S L', 2, 1, 7, 0xffffffff, 4, 7, 0xffffffff, 32, 7, 0xffffffff));
    for my $name (sort keys %values) { my $file = made("attribute-$name"); my $value = $values{$name}; $seen{$name} = leaving('setxattr', $file, $name, $value, length $value, 0) }
    my $file = made('immutable');
    if (open(my $handle, '+<', $file)) { my $flags = pack('L', 0x10); $seen{'immutable flag'} = leaving('ioctl', fileno($handle), 0x40086602, $flags) }
    return \%seen;
};
