# Tries to reach, read and change what was placed around a sandbox on its host for the proof; the question says where. Here it is
# only tried: the host decides whether it succeeded.

my $CANARY = qr/(casemate-canary-[0-9a-f]{32})/;
# Nothing but canaries is handed out: what else such a file holds is nobody's business.
sub canary_in { my $text = slurp($_[0], 1 << 16); return defined $text ? ($text =~ $CANARY ? $1 : 'no canary') : errname() }

sub put { my ($path, $how, $text) = @_; open(my $file, $how, $path) or return 0; my $done = print $file $text; return close($file) && $done }

$Q{who} = sub {
    my %seen = (uid => $>, gid => $) + 0, perl => "$]");
    $seen{$_} = readlink("/proc/self/ns/$_") // errname() for qw(user mnt net pid ipc uts cgroup);
    return \%seen;
};

# Packed addresses by label, told as `label 4|6 hex`; beside them the gateway, and names that engines give their host.
sub said_over { my ($type, $address, $text) = @_; return tried { my $s = opened(unpack('S', $address), $type); $s && connect($s, $address) && syswrite($s, $text) } }
$Q{reach} = sub {
    my ($nonce, $port, @rows) = told($_[0]);
    my %to;
    while (my ($label, $family, $hex) = splice @rows, 0, 3) { $to{$label} = $family == 4 ? pack('S n a4 x8', 2, $port, pack 'H*', $hex) : pack('S n N a16 L', 10, $port, 0, pack('H*', $hex), 0) }
    for (lines('/proc/net/route')) { my @cell = split; $to{'default gateway'} = pack('S n V x8', 2, $port, hex $cell[2]) if ($cell[1] // '') eq '00000000' }
    my %work;
    for my $label (keys %to) {
        $work{"tcp $label"} = sub { said_over(1, $to{$label}, "$nonce tcp $label\n") };
        $work{"udp $label"} = sub { said_over(2, $to{$label}, "$nonce udp $label\n") };
    }
    for my $name (qw(host.docker.internal host.containers.internal gateway.docker.internal)) {
        $work{"tcp $name"} = sub { my $ip = gethostbyname($name); defined $ip ? said_over(1, pack('S n a4 x8', 2, $port, $ip), "$nonce tcp $name\n") : 'no such name' };
    }
    my ($via) = grep { defined } @ENV{qw(HTTP_PROXY http_proxy HTTPS_PROXY https_proxy)};
    my ($proxy, $at) = ($via // '') =~ m{^http://(?:[^@/]*@)?([\w.-]+):(\d+)};
    for my $label (defined $proxy ? grep { /^\d+\./ } keys %to : ()) {
        $work{"proxy $label"} = sub {
            my $ip = gethostbyname($proxy) // return 'no such name';
            my $s = opened(2, 1); connect($s, pack('S n a4 x8', 2, $at, $ip)) or return errname();
            syswrite($s, "CONNECT $label:$port HTTP/1.1\r\nHost: $label:$port\r\n\r\n"); sysread($s, my $said, 200);
            my ($status) = ($said // '') =~ m{^HTTP/1.[01] (\d+)}; return 'no answer' unless defined $status;
            return $status == 200 && syswrite($s, "$nonce proxy $label\n") ? 'DONE' : "status $status";
        };
    }
    return side_by_side(4, %work);
};

# A name that only this proof knows, asked for through the C library and at the name servers themselves.
$Q{look_up} = sub {
    my ($name) = told($_[0]);
    return {} unless defined $name;
    my $query = pack('n6', 0x1234, 0x0100, 1, 0, 0, 0) . join('', map { pack('C/a*', $_) } split /\./, "udp.$name") . pack('C n2', 0, 1, 1);
    my %work = ('C library' => sub { my $ip = gethostbyname("libc.$name"); defined $ip ? join('.', unpack 'C4', $ip) : 'no such name' });
    for (lines('/etc/resolv.conf')) {
        next unless /^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)/;
        my $server = $1; $work{"name server $server"} = sub { said_over(2, address4($server, 53), $query) };
    }
    return side_by_side(6, %work);
};

# Unix sockets of the host, told as `label path`; a path that begins with @ is an abstract name.
$Q{host_listeners} = sub {
    my ($nonce, @rows) = told($_[0]); my %seen;
    while (my ($label, $path) = splice @rows, 0, 2) {
        my $address = $path =~ /^\@(.*)/ ? pack('S a*', 1, "\0$1") : pack('S a108', 1, $path);
        $seen{$label} = said_over(1, $address, "$nonce unix $label\n");
    }
    return \%seen;
};

# Through whatever leads to the terminal of whoever started this, as far as it was handed in.
$Q{type_outside} = sub {
    my ($letters) = told($_[0]); my %seen;
    my $type = sub { my $to = shift; for my $letter (split //, $letters) { ioctl($to, 0x5412, $letter) or return 0 } return 1 };
    for my $number (0 .. 20) { open(my $to, '<&=', $number) or next; $seen{"descriptor $number"} = tried { $type->($to) } if -t $to }
    $seen{'/dev/tty'} = tried { open(my $to, '+<', '/dev/tty') or return 0; $type->($to) };
    return \%seen;
};

# The name is told in two halves, so that no command line but that of the process itself holds it.
$Q{host_process} = sub {
    my ($one, $two) = told($_[0]);
    opendir(my $folder, '/proc') or return { seen => errname() };
    my @all = grep { /^\d+$/ } readdir $folder;
    my ($pid) = grep { index(slurp("/proc/$_/cmdline", 4096) // '', $one . $two) >= 0 } @all;
    my %own = (processes => scalar @all, itself => (grep { $_ == $$ } @all) ? 'seen' : 'not seen');
    return { %own, seen => 'no' } unless defined $pid;
    return { %own, seen => "process $pid", environment => canary_in("/proc/$pid/environ"), signal => tried { kill(0, $pid) } };
};

$Q{environment_canaries} = sub { return { count => scalar keys %ENV, map { $ENV{$_} =~ $CANARY ? ($_ => $1) : () } keys %ENV } };
$Q{home_canaries} = sub {
    my @names = told($_[0]); my %seen;
    my %home = map { $_ => 1 } grep { defined && $_ ne '' } $ENV{HOME}, (getpwuid $<)[7];
    for my $name (@names) { $seen{"$_/$name"} = canary_in("$_/$name") for keys %home }
    return \%seen;
};

# Files of the host by their path there. What is written goes into canaries, and into a name that is free.
$Q{host_canaries} = sub {
    my ($nonce, $new, @paths) = told($_[0]); my %seen;
    for my $path (@paths) {
        $seen{"read $path"} = canary_in($path);
        $seen{"write $path"} = -e $path ? tried { put($path, '>>', "$nonce\n") } : 'ENOENT';
    }
    $seen{"make $new"} = tried { put($new, '>', "$nonce\n") };
    return \%seen;
};

# Which files can be opened, and which they are: the host compares device and inode with its own.
$Q{readable_files} = [ sub {
    my (%seen, $looked); my @folders = ('/etc', '/root', '/home', '/var/log', '/boot', '/opt', '/srv', '/usr/local');
    while (defined(my $folder = shift @folders)) {
        opendir(my $open, $folder) or next;
        for my $path (map { "$folder/$_" } grep { !/^\.\.?$/ } sort readdir $open) {
            last if ++$looked > 6000;
            next if -l $path;
            if (-d _) { push @folders, $path if ($path =~ tr{/}{}) < 5; next }
            next unless -f _ && sysopen(my $file, $path, 0);
            my ($device, $inode) = stat $file; $seen{$path} = "$device:$inode";
        }
    }
    return \%seen;
}, 30 ];

# The working folder, wherever it is mounted: the one with this proof's own file in it. Only there is anything left behind.
sub work_folder {
    my ($nonce, $there) = @_;
    my @mounts = map { (split)[4] } lines('/proc/self/mountinfo');
    return (grep { -e "$_/.casemate-proof-$nonce" } '.', $there, map { ($_, "$_/project") } @mounts, $ENV{HOME} // '/nonexistent')[0];
}
$Q{leave_behind} = sub {
    my ($nonce, $there, @names) = told($_[0]);
    my $work = work_folder($nonce, $there) // return { folder => 'none' };
    chdir $work or return { folder => errname() };
    my %seen = (folder => $work, ordinary => tried { put('ordinary', '>', $nonce) });
    put('set-id', '>', '');
    $seen{'set-id'} = tried { chmod(06755, 'set-id') };
    my $device = 'device';
    $seen{device} = tried { syscall($X86 ? 133 : 33, ($X86 ? () : (-100)), $device, 0020666, (1 << 8) | 3) == 0 };
    $seen{'move .vscode'} = tried { rename('.vscode', 'moved') && mkdir('.vscode') && put('.vscode/tasks.json', '>', $nonce) };
    for my $name (@names) {
        my ($folder) = $name =~ m{^(.*)/}; my $made = '';
        for (split m{/}, $folder // '') { $made .= $made eq '' ? $_ : "/$_"; mkdir $made }
        $seen{"write $name"} = tried { put($name, '>>', "\n# $nonce\n") };
    }
    return \%seen;
};
$Q{sweep} = sub {
    my ($nonce, $there) = told($_[0]);
    my $work = work_folder($nonce, $there) // return 'none';
    chdir $work or return errname();
    my @left = ('.'); my @folders;
    while (defined(my $folder = shift @left)) {
        opendir(my $open, $folder) or next;
        for my $path (map { "$folder/$_" } grep { !/^\.\.?$/ } readdir $open) { if (-d $path && !-l _ && !-l $path) { push @left, $path; unshift @folders, $path } else { unlink $path } }
    }
    rmdir $_ for @folders;
    return 'DONE';
};

# As many processes at once as told, none of them for longer than the question; how many there were when one was refused.
$Q{fork_up_to} = [ sub {
    my ($most) = told($_[0]); my ($count, $why) = (0, 'never');
    pipe(my $from, my $to) or return { count => 0, why => errname() };
    while ($count < $most && $count < 2000) {
        my $child = fork;
        if (!defined $child) { $why = errname(); last }
        if ($child == 0) { close $to; alarm 20; sysread($from, my $byte, 1); POSIX::_exit(0) }
        $count++;
    }
    close $to;
    1 while wait != -1;
    return { count => $count, why => $why };
}, 30 ];
