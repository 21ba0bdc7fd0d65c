# What can be taken, by name. Each answers how much it got and what stopped it.
use Fcntl ();
use Socket ();

my %NR = $X86
    ? (shmat => 30, read => 0, epoll_create1 => 291, eventfd2 => 290, timerfd_create => 283, memfd_create => 319, inotify_init1 => 294, io_setup => 206, mq_open => 240,
       mq_unlink => 241, add_key => 248, timer_create => 222, sched_setscheduler => 144, ioprio_set => 251, prlimit64 => 302, sync => 162, fdatasync => 75)
    : (shmat => 196, read => 63, epoll_create1 => 20, eventfd2 => 19, timerfd_create => 85, memfd_create => 279, inotify_init1 => 26, io_setup => 0, mq_open => 180,
       mq_unlink => 181, add_key => 217, timer_create => 107, sched_setscheduler => 119, ioprio_set => 30, prlimit64 => 261, sync => 81, fdatasync => 83);
my $MIB = 1 << 20;
my @held;
my $own = Socket::pack_sockaddr_in(0, "\x7f\0\0\1");
sub kernel { my ($name, @arguments) = @_; return syscall($NR{$name}, @arguments) }
sub unblocked { my $handle = shift; fcntl($handle, Fcntl::F_SETFL(), fcntl($handle, Fcntl::F_GETFL(), 0) | Fcntl::O_NONBLOCK()); return $handle }
# Fills what is behind a handle until it takes no more, or so many pieces; in bytes.
sub fill {
    my ($handle, $size, $pieces) = @_;
    unblocked($handle);
    my ($all, $piece) = (0, 'x' x ($size // 65536));
    for (1 .. $pieces // 1000) { my $put = syswrite($handle, $piece) or last; $all += $put }
    return $all;
}

$TAKE{processes} = sub { grab($_[0], sub { my $child = fork; if (defined $child && $child == 0) { sleep 60; POSIX::_exit(0) } return defined $child }) };

# Memory of each kind, in MiB.
$TAKE{memory} = sub { grab($_[0], sub { push @held, chr(65 + $_[0] % 26) x $MIB; return 1 }) };
$TAKE{shared_memory} = sub { grab($_[0], sub {
    my $id = shmget(0, $MIB, 0600) // return 0;
    my $at = kernel('shmat', $id, 0, 0);
    shmctl($id, 0, 0);
    open(my $zeros, '<', '/dev/zero');
    return $at != -1 && kernel('read', fileno $zeros, $at, $MIB) == $MIB;
}) };
$TAKE{pipe_buffers} = sub { grab($_[0], sub { pipe(my $from, my $to) or return 0; push @held, $from, $to; fcntl($to, 1031, $MIB); return fill($to) == $MIB }) };
# Buffers of sockets that nobody reads, by what the kernel says they hold (SO_MEMINFO).
sub stuffed {
    my ($most, $size, $open) = @_;
    my $bytes = 0;
    my $seen = grab($most, sub {
        my @ends = $open->() or return 0;
        push @held, @ends;
        my @put = map { fill($_, $size, 100) } @ends;
        for (@ends) {
            # gVisor's kernel does not say: what went in and nobody read is as good.
            my ($put, $told) = (shift @put, getsockopt($_, 1, 55));
            my @memory = defined $told ? unpack('L*', $told) : ($put, 0, 0, 0, 0, 0);
            $bytes += $memory[0] + ($memory[2] > $memory[5] ? $memory[2] : $memory[5]);
        }
        so_far(int($bytes / $MIB));
        return 1;
    });
    return { taken => int($bytes / $MIB), stopped => $seen->{stopped}, sockets => $seen->{taken} };
}
# Buffers grow with what is read at once (tcp(7), tcp_moderate_rcvbuf): as far as they may, before nobody reads any more.
sub grown { my ($near, $far) = @_; unblocked($_) for $near, $far; my $piece = 'x' x 65536; for (1 .. 40) { 1 while syswrite($near, $piece); 1 while sysread($far, my $text, $MIB) } return ($near, $far) }
$TAKE{tcp_buffers} = sub {
    my ($listener, $pairs) = (undef, 0);
    socket($listener, 2, 1, 0) && bind($listener, $own) && listen($listener, 100) or return { taken => 0, stopped => errname() };
    my $place = getsockname($listener);
    return stuffed($_[0], 65536, sub { my ($near, $far); socket($near, 2, 1, 0) && connect($near, $place) && accept($far, $listener) or return (); return $pairs++ < 2 ? grown($near, $far) : ($near, $far) });
};
$TAKE{unix_buffers} = sub { stuffed($_[0], 65536, sub { my ($near, $far); return socketpair($near, $far, 1, 1, 0) ? ($near, $far) : () }) };
$TAKE{udp_buffers} = sub { stuffed($_[0], 60000, sub { my $one; return socket($one, 2, 2, 0) && bind($one, $own) && connect($one, getsockname($one)) ? ($one) : () }) };

# Files: bytes in MiB in files that have no name, one or several; names by symbolic links.
sub bytes_in {
    my ($folder, $most, $each) = @_;
    my $path = "$folder/.casemate-take-$$";
    my $piece = 'x' x $MIB;
    $SIG{XFSZ} = 'IGNORE';
    return grab($most, sub {
        if ($_[0] % $each == 0) {
            sysopen(my $next, $path, Fcntl::O_WRONLY() | Fcntl::O_CREAT() | Fcntl::O_EXCL(), 0600) or return 0;
            unlink $path; push @held, $next;
        }
        my ($file, $put) = ($held[-1], 0);
        while ($put < $MIB) { my $more = syswrite($file, $piece, $MIB - $put) or return 0; $put += $more }
        return 1;
    });
}
sub names_in {
    my ($folder, $most) = @_;
    my $path = "$folder/.casemate-take-$$";
    mkdir $path or return { taken => 0, stopped => errname() };
    my $seen = grab($most, sub { return symlink('x', "$path/$_[0]") });
    later(sub { unlink map { "$path/$_" } 0 .. $seen->{taken}; rmdir $path });
    return $seen;
}
my %FOLDERS = (tmp => '/tmp', var_tmp => '/var/tmp', shm => '/dev/shm', home => $ENV{HOME} // '/nonexistent', workspace => '/workspace');
for my $name (keys %FOLDERS) {
    my $folder = $FOLDERS{$name};
    $TAKE{"bytes_$name"} = sub { bytes_in($folder, $_[0], $name eq 'workspace' ? 1 << 30 : 16) };
    $TAKE{"names_$name"} = sub { names_in($folder, $_[0]) };
}
# One file of that many GiB, of which nothing is written.
$TAKE{long_file} = sub {
    my $path = "/workspace/.casemate-take-$$";
    $SIG{XFSZ} = 'IGNORE';
    sysopen(my $file, $path, Fcntl::O_WRONLY() | Fcntl::O_CREAT() | Fcntl::O_EXCL(), 0600) or return { taken => 0, stopped => errname() };
    unlink $path;
    $! = 0;
    return truncate($file, $_[0] << 30) ? { taken => $_[0], stopped => 'never' } : { taken => 0, stopped => errname() };
};

# Descriptors, by what is behind them.
my %OPEN = (
    devices => sub { my $one; return open($one, '<', '/dev/null') && $one },
    socket_pairs => sub { my ($near, $far); return socketpair($near, $far, 1, 1, 0) && [$near, $far] },
    pipes => sub { my ($from, $to); return pipe($from, $to) && [$from, $to] },
    (map { my ($name, @arguments) = @$_; ($name => sub { kernel(@arguments) >= 0 }) }
        ['epolls', 'epoll_create1', 0], ['counters', 'eventfd2', 0, 0], ['clocks', 'timerfd_create', 1, 0], ['memory_files', 'memfd_create', 'x', 0]),
);
for my $name (keys %OPEN) { my $open = $OPEN{$name}; $TAKE{$name} = sub { grab($_[0], sub { my $one = $open->() or return 0; push @held, $one; return 1 }) } }

# Pools that the kernel keeps for a user, or for everybody.
$TAKE{terminals} = sub { grab($_[0], sub { sysopen(my $one, '/dev/ptmx', Fcntl::O_RDWR() | Fcntl::O_NOCTTY()) or return 0; push @held, $one; return 1 }) };
$TAKE{inotify} = sub { grab($_[0], sub { return kernel('inotify_init1', 0) >= 0 }) };
$TAKE{aio} = sub { grab($_[0], sub { my $context = "\0" x 8; return kernel('io_setup', 128, $context) == 0 }) };
$TAKE{message_queues} = sub { grab($_[0], sub { my $name = "take$$-$_[0]"; my $seen = kernel('mq_open', $name, 0102, 0600, 0); my $code = $!; kernel('mq_unlink', $name) if $seen >= 0; $! = $code; return $seen >= 0 }) };
$TAKE{locked_memory} = sub { grab($_[0], sub { my $id = shmget(0, $MIB, 0600) // return 0; later(sub { shmctl($id, 0, 0) }); return shmctl($id, 11, 0) }) };
$TAKE{old_queues} = sub { grab($_[0], sub { my $id = msgget(0, 0600) // return 0; later(sub { msgctl($id, 0, 0) }); return 1 }) };
$TAKE{semaphores} = sub { grab($_[0], sub { my $id = semget(0, 100, 0600) // return 0; later(sub { semctl($id, 0, 0, 0) }); return 1 }) };
$TAKE{timers} = sub { grab($_[0], sub { my $id = "\0" x 8; return kernel('timer_create', 1, 0, $id) == 0 }) };
$TAKE{keys} = sub { grab($_[0], sub { my ($type, $name, $value) = ('user', "take-$$-$_[0]", 'x' x 64); return kernel('add_key', $type, $name, $value, 64, -2) >= 0 }) };

# Priority, and limits of its own: how many of them it could raise.
my %RAISE = (
    'one step' => sub { setpriority(0, 0, getpriority(0, 0) - 1) },
    'SCHED_FIFO' => sub { my $wish = pack('l', 50); kernel('sched_setscheduler', 0, 1, $wish) == 0 },
    'SCHED_RR' => sub { my $wish = pack('l', 50); kernel('sched_setscheduler', 0, 2, $wish) == 0 },
    'first class of input and output' => sub { kernel('ioprio_set', 1, 0, 1 << 13) == 0 },
    (map { my ($name, $which) = @$_; ("limit of $name" => sub { my ($more, $none) = (pack('Q Q', 1 << 40, 1 << 40), 0); kernel('prlimit64', 0, $which, $more, $none) == 0 }) }
        ['descriptors', 7], ['processes', 6], ['size of files', 1], ['locked memory', 8]),
);
$TAKE{raised} = sub { my %seen; for my $name (keys %RAISE) { $seen{$name} = tried { my $raise = $RAISE{$name}; $raise->() } } return \%seen };

# Work without end, for that many milliseconds: of the processor, of the disk.
sub workers {
    my ($count, $ms, $work) = @_;
    my $end = millis() + $ms;
    pipe(my $from, my $to) or return { taken => 0, stopped => errname() };
    for (1 .. $count) {
        my $child = fork // last;
        if ($child == 0) { close $from; my $done = 0; while (millis() < $end) { $work->() or last; $done++ } syswrite($to, "$done\n"); POSIX::_exit(0) }
    }
    close $to;
    my $sum = 0; $sum += $_ for split /\n/, do { local $/; <$from> } // '';
    1 while waitpid(-1, 0) > 0;
    return { taken => $sum, stopped => 'time' };
}
$TAKE{processor} = sub { workers(8, $_[0], sub { my $sum = 0; $sum += $_ for 1 .. 20000; return 1 }) };
$TAKE{disk_writes} = sub {
    my $path = "/workspace/.casemate-take-$$";
    later(sub { unlink $path });
    sysopen(my $file, $path, Fcntl::O_WRONLY() | Fcntl::O_CREAT(), 0600) or return { taken => 0, stopped => errname() };
    unlink $path;
    my $piece = 'x' x (4 * $MIB);
    return workers(4, $_[0], sub { sysseek($file, 0, 0); syswrite($file, $piece); kernel('fdatasync', fileno $file); return 1 });
};
$TAKE{syncs} = sub { workers(8, $_[0], sub { kernel('sync'); return 1 }) };
