# Which parts of the kernel can be reached.

my %CALLS = $X86
    ? (bpf => 321, keyctl => 250, add_key => 248, request_key => 249, userfaultfd => 323, perf_event_open => 298, mount => 165, unshare => 272,
       setns => 308, ptrace => 101, open_by_handle_at => 304, name_to_handle_at => 303, init_module => 175, finit_module => 313,
       delete_module => 176, kexec_load => 246, pivot_root => 155, chroot => 161, process_vm_readv => 310, process_vm_writev => 311,
       syslog => 103, acct => 163, settimeofday => 164, clock_settime => 227, adjtimex => 159, swapon => 167, umount2 => 166, quotactl => 179,
       sethostname => 170, iopl => 172, ioperm => 173, lookup_dcookie => 212, kcmp => 312, io_uring_setup => 425, io_uring_enter => 426,
       open_tree => 428, move_mount => 429, fsopen => 430, fsmount => 432, pidfd_getfd => 438, mount_setattr => 442, process_madvise => 440,
       quotactl_fd => 443, landlock_create_ruleset => 444, memfd_secret => 447)
    : (bpf => 280, keyctl => 219, add_key => 217, request_key => 218, userfaultfd => 282, perf_event_open => 241, mount => 40, unshare => 97,
       setns => 268, ptrace => 117, open_by_handle_at => 265, name_to_handle_at => 264, init_module => 105, finit_module => 273,
       delete_module => 106, kexec_load => 104, pivot_root => 41, chroot => 51, process_vm_readv => 270, process_vm_writev => 271,
       syslog => 116, acct => 89, settimeofday => 170, clock_settime => 112, adjtimex => 171, swapon => 224, umount2 => 39, quotactl => 60,
       sethostname => 161, kcmp => 272, io_uring_setup => 425, io_uring_enter => 426,
       open_tree => 428, move_mount => 429, fsopen => 430, fsmount => 432, pidfd_getfd => 438, mount_setattr => 442, process_madvise => 440,
       quotactl_fd => 443, landlock_create_ruleset => 444, memfd_secret => 447);
my %PLAIN = $X86 ? (getpid => 39, clone => 56, setxattr => 188, prctl => 157, prlimit => 302) : (getpid => 172, clone => 220, setxattr => 5, prctl => 167, prlimit => 261);

sub call { my ($number, @arguments) = @_; return tried { syscall($number, @arguments) != -1 } }
sub family { my ($family, $type, $protocol) = @_; return tried { socket(my $socket, $family, $type, $protocol // 0) } }

# PR_CAP_AMBIENT_IS_SET for each capability; a kernel that does not know it has no ambient ones.
sub ambient { my $set = 0; for my $one (0 .. 40) { $set |= 1 << $one if syscall($PLAIN{prctl}, 47, 1, $one, 0, 0) == 1 } return $set }

$Q{status} = sub {
    my %field = map { /^(\w+):\s*(.*)$/ ? ($1, $2) : () } lines('/proc/self/status');
    # gVisor's kernel has no lines for some of them and answers when it is asked.
    $field{NoNewPrivs} //= syscall($PLAIN{prctl}, 39, 0, 0, 0, 0);
    $field{CapAmb} //= sprintf('%016x', ambient());
    return { map { $_ => $field{$_} } qw(Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp) };
};

# Soft and hard, by prlimit64: not every kernel shows them in /proc.
$Q{resource_limits} = sub {
    my %which = (CORE => 4, FSIZE => 1, NOFILE => 7, NPROC => 6, MEMLOCK => 8);
    my $seen = sub { my ($none, $pair) = (0, "\0" x 16); syscall($PLAIN{prlimit}, 0, $_[0], $none, $pair) == 0 ? join(' ', unpack 'Q Q', $pair) : errname() };
    my %seen = map { $_ => $seen->($which{$_}) } keys %which;
    my ($none, $less) = (0, pack 'Q Q', 0, 0);
    syscall($PLAIN{prlimit}, 0, $which{CORE}, $less, $none);
    return { %seen, LOWERED => $seen->($which{CORE}) };
};

# Every family with each common type of socket; beside them, protocols of the open ones that reach further than they seem.
$Q{families} = sub {
    my %seen;
    for my $family (1 .. 63) { for my $type (1, 2, 3, 5) { $seen{$family}{ family($family, $type) } = 1 } }
    return { map { my $answers = $seen{$_}; ($_ => $answers->{DONE} ? 'DONE' : join(' ', sort keys %$answers)) } keys %seen };
};
$Q{protocols} = sub {
    return {
        'raw' => family(2, 3, 255), 'raw IPv6' => family(10, 3, 255), 'ping' => family(2, 2, 1), 'ping IPv6' => family(10, 2, 58),
        'sctp' => family(2, 1, 132), 'mptcp' => family(2, 1, 262), 'udplite' => family(2, 2, 136), 'packet' => family(17, 3, 768),
        (map { ("netlink $_" => family(16, 3, $_)) } 1 .. 21),
    };
};
$Q{ordinary_sockets} = sub {
    return { 'tcp' => family(2, 1), 'udp' => family(2, 2), 'tcp IPv6' => family(10, 1), 'unix' => family(1, 1), 'netlink route' => family(16, 3, 0) };
};

# The entry of CVE-2026-31431 and nothing more: a socket of the crypto family, bound to an algorithm.
$Q{crypto_socket} = sub {
    socket(my $socket, 38, 5, 0) or return errname();
    my $address = pack('S a14 L L a64', 38, 'aead', 0, 0, 'authencesn(hmac(sha256),cbc(aes))');
    return bind($socket, $address) ? 'BOUND' : 'DONE';
};

# socket(AF_ALG, SOCK_SEQPACKET, 0) through int 0x80: the 32-bit table of calls, which a filter for 64 bits does not see.
# A program of 62 instructions' bytes, made here, that ends with what the kernel answered (1: refused, 0: a descriptor).
$Q{call_gate} = sub {
    return 'no 32-bit gate on this machine' unless $X86;
    my $code = "\xb8\x67\x01\x00\x00\xbb\x26\x00\x00\x00\xb9\x05\x00\x00\x00\x31\xd2\xcd\x80" # socketcall-free socket(38, 5, 0)
        . "\x31\xdb\x85\xc0\x0f\x98\xc3\x89\xdf\xb8\x3c\x00\x00\x00\x0f\x05";               # exit(eax < 0)
    my $base = 0x400000;
    my $file = "\x7fELF\x02\x01\x01" . "\0" x 9
        . pack('S S L Q Q Q L S S S S S S', 2, 62, 1, $base + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0)
        . pack('L L Q Q Q Q Q Q', 1, 5, 0, $base, $base, 120 + length $code, 120 + length $code, 4096) . $code;
    for my $folder (grep { -d $_ && -w _ } '/tmp', $ENV{HOME} // '/tmp', '/dev/shm', '.') {
        my $path = "$folder/.casemate-gate-$$";
        open(my $out, '>', $path) or next;
        binmode $out; print $out $file; close $out; chmod 0700, $path;
        my $child = fork;
        if ($child == 0) { { no warnings 'exec'; exec { $path } $path } POSIX::_exit(126) }
        waitpid($child, 0); my $end = $?; unlink $path;
        next if $end >> 8 == 126;
        return $end & 127 ? 'killed by signal ' . ($end & 127) : $end >> 8 == 0 ? 'DONE' : 'refused';
    }
    return 'nothing can be executed here';
};

# With arguments that no call accepts: what is not refused for itself fails for them, and nothing is changed.
$Q{dangerous_calls} = sub { return { map { ($_ => call($CALLS{$_}, (-1) x 6)) } keys %CALLS } };
$Q{harmless_call} = sub { return call($PLAIN{getpid}) };

my %SPACES = (user => 0x10000000, mount => 0x00020000, net => 0x40000000, pid => 0x20000000, ipc => 0x08000000, uts => 0x04000000, cgroup => 0x02000000);
$Q{namespaces} = sub {
    my %seen;
    for my $name (keys %SPACES) {
        pipe(my $from, my $to); my $child = fork;
        if ($child == 0) { print $to call($CALLS{unshare}, $SPACES{$name}); close $to; POSIX::_exit(0) }
        close $to; $seen{$name} = <$from>; waitpid($child, 0);
    }
    my $made = syscall($PLAIN{clone}, 17 | $SPACES{user}, 0, 0, 0, 0);
    if ($made == 0) { POSIX::_exit(0) }
    $seen{'clone user'} = $made > 0 ? 'DONE' : errname();
    waitpid($made, 0) if $made > 0;
    $seen{clone3} = call(435, 0, 0);
    return \%seen;
};
$Q{fork} = sub { my $child = fork; POSIX::_exit(0) if defined $child && $child == 0; waitpid($child, 0) if $child; return defined $child ? 'DONE' : errname() };

# Only opened, never written. Opened without writing they are the control: the file is there.
my @CONTROLS = qw(/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug /proc/sys/kernel/hostname /proc/sys/kernel/panic
    /proc/sys/fs/binfmt_misc/register /proc/sys/vm/panic_on_oom /proc/sys/vm/drop_caches /proc/sys/net/ipv4/ip_forward /proc/sysrq-trigger
    /proc/bus/pci /proc/irq/default_smp_affinity /proc/scsi/scsi /proc/self/oom_score_adj
    /sys/kernel/uevent_helper /sys/kernel/mm/ksm/run /sys/power/state /sys/fs/cgroup/release_agent /sys/fs/cgroup/cgroup.procs
    /sys/firmware/efi/efivars /sys/kernel/debug /sys/kernel/security/apparmor/.replace);
$Q{host_controls} = sub {
    my %seen;
    for my $path (grep { -e $_ } @CONTROLS) { $seen{$path} = -d $path ? 'folder' : tried { open(my $file, '+<', $path) } }
    delete $seen{'/proc/self/oom_score_adj'};
    return \%seen;
};
$Q{own_file} = sub { my $path = "/tmp/.casemate-own-$$"; my $seen = tried { open(my $file, '>', $path) }; unlink $path; return $seen };

my @TELLTALES = qw(/proc/keys /proc/kallsyms /proc/kcore /proc/kmsg /proc/timer_list /proc/sched_debug /proc/modules /proc/cmdline /proc/partitions
    /proc/diskstats /proc/interrupts /proc/iomem /proc/swaps /proc/mdstat /proc/slabinfo /proc/vmallocinfo /proc/config.gz
    /sys/kernel/notes /sys/firmware/dmi/tables/DMI /sys/class/dmi/id/product_uuid /sys/class/net/eth0/address /sys/kernel/vmcoreinfo);
$Q{telltales} = sub {
    my %seen;
    for my $path (grep { -e $_ } @TELLTALES) { my $text = slurp($path, 256); $seen{$path} = defined $text ? length($text) : errname() }
    return \%seen;
};
# What they say, for who can compare it with what this host's say: in hex, the first of it.
$Q{telltale_texts} = sub { return { map { my $text = slurp($_, 256); defined $text && $text ne '' ? ($_ => 'x' . unpack('H*', $text)) : () } grep { -f $_ } @TELLTALES } };

$Q{terminal} = sub {
    open(my $main, '+<', '/dev/ptmx') or return { none => errname() };
    my $unlock = pack('l', 0); ioctl($main, 0x40045431, $unlock);
    my $number = pack('l', 0); ioctl($main, 0x80045430, $number) or return { none => errname() };
    open(my $side, '+<', '/dev/pts/' . unpack('l', $number)) or return { none => errname() };
    my ($byte, $line, $size) = ('x', "\x03", "\0" x 8);
    $SIG{HUP} = 'IGNORE';
    POSIX::setsid();
    ioctl($side, 0x540e, 0);
    return { TIOCSTI => tried { ioctl($side, 0x5412, $byte) }, TIOCLINUX => tried { ioctl($side, 0x541c, $line) }, TIOCGWINSZ => tried { ioctl($side, 0x5413, $size) } };
};
