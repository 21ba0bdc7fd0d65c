# Connects to a socket of the host by every name that could lead to it. GIVEN: its path out there.
my ($PATH) = @main::GIVEN;
my ($NAME) = $PATH =~ m{([^/]+)\z};

sub reached { my $name = shift; my $socket = opened(1, 1) or return errname(); return tried { connect($socket, pack('S a*', 1, $name)) } }

$Q{reach_control} = sub {
    my %seen;
    my @pids = grep { /^\d+\z/ } do { opendir(my $folder, '/proc') or return {}; readdir $folder };
    for my $path ($PATH, "/run/$NAME", "/run/casemate/$NAME", (map { ("/proc/$_/root$PATH", "/proc/$_/cwd/$NAME") } @pids)) { $seen{$path} = reached("$path\0") }
    for my $link ('/tmp/control', '/workspace/control', '/home/agent/control') {
        next unless symlink $PATH, $link;
        $seen{"link $link"} = reached("$link\0");
        unlink $link;
    }
    $seen{'abstract name'} = reached("\0$PATH");
    # What came in as an open descriptor is a socket already: to hold one is to have reached it.
    for my $pid (@pids) { for my $fd (glob "/proc/$pid/fd/*") { my $to = readlink($fd) // ''; $seen{"$fd, a socket"} = 'DONE' if $to =~ /^socket:/ } }
    return \%seen;
};
$Q{listed_control} = sub { return [ grep { /\Q$NAME\E|daemon/ } map { (split)[7] // () } lines('/proc/net/unix') ] };
$Q{own_socket} = sub {
    my ($path, $socket) = ("/tmp/own-$$", opened(1, 1));
    my $done = tried {; bind($socket, pack('S a*', 1, "$path\0")) && listen($socket, 1) };
    $done = reached("$path\0") if $done eq 'DONE';
    unlink $path;
    return $done;
};
