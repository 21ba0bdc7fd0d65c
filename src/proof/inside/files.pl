# Which files, devices and processes are visible.

$Q{mounts} = sub { return [ map { my ($left, $right) = split / - /; my @l = split ' ', $left; my @r = split ' ', $right // ''; { root => $l[3], at => $l[4], options => $l[5], type => $r[0], source => $r[1] } } lines('/proc/self/mountinfo') ] };

$Q{processes} = sub {
    opendir(my $folder, '/proc') or return errname();
    return [ map { { pid => $_, command => substr(slurp("/proc/$_/cmdline", 200) // '', 0, 200) =~ tr/\0/ /r } } grep { /^\d+$/ && $_ != $$ && $_ != getppid() } readdir $folder ];
};
# Signal 0 asks for permission and does nothing.
$Q{first_process} = sub {
    return { signal => tried { kill(0, 1) }, memory => tried { open(my $file, '<', '/proc/1/mem') }, root => tried { readlink('/proc/1/root') } };
};
$Q{abstract_sockets} = sub { return [ grep { defined && /^@/ } map { (split)[7] } lines('/proc/net/unix') ] };

my %USUAL = map { $_ => 1 } qw(null zero full random urandom tty ptmx pts shm mqueue fd stdin stdout stderr core console);
$Q{devices} = sub {
    opendir(my $folder, '/dev') or return errname();
    return [ sort grep { !/^\.\.?$/ } readdir $folder ];
};
$Q{unusual_devices} = sub {
    opendir(my $folder, '/dev') or return errname();
    return [ sort grep { !/^\.\.?$/ && !$USUAL{$_} } readdir $folder ];
};
$Q{make_device} = sub {
    my %seen;
    for my $folder (grep { -d $_ && -w _ } '/tmp', '/dev/shm', $ENV{HOME} // (), '/workspace', '.') {
        my $path = "$folder/.casemate-device-$$";
        $seen{$folder} = tried { syscall($X86 ? 133 : 33, ($X86 ? () : (-100)), $path, 0020666, (1 << 8) | 3) == 0 };
        unlink $path;
    }
    return \%seen;
};
# Set-id bits outlive a sandbox in what it leaves behind, whatever nosuid says inside.
$Q{set_id} = sub {
    my %seen;
    for my $folder (grep { -d $_ && -w _ } '/workspace', $ENV{HOME} // (), '.') {
        my $path = "$folder/.casemate-setid-$$";
        open(my $file, '>', $path) or next; close $file;
        $seen{"chmod u+s in $folder"} = tried { chmod(04755, $path) };
        my $mode = (stat $path)[2] & 06000;
        $seen{"chmod u+s in $folder"} = 'DONE' if $mode; 
        $seen{"capability in $folder"} = tried { my ($name, $value) = ("security.capability", "\1\0\0\2" . "\0" x 16); syscall($X86 ? 188 : 5, $path, $name, $value, length $value, 0) == 0 };
        unlink $path;
    }
    return \%seen;
};
$Q{writable} = sub {
    my %seen;
    for my $folder ('/', '/etc', '/usr/bin', '/usr/lib', '/bin', '/root', '/boot', '/proc', '/sys', '/dev', '/run', '/var/lib', '/opt', '/srv', '/home') {
        next unless -d $folder;
        my $path = "$folder/.casemate-write-$$"; $seen{$folder} = tried { open(my $file, '>', $path) }; unlink $path;
    }
    return \%seen;
};
$Q{writable_own} = sub {
    my %seen;
    for my $folder (grep { -d $_ } '/tmp', $ENV{HOME} // '/tmp') { my $path = "$folder/.casemate-write-$$"; $seen{$folder} = tried { open(my $file, '>', $path) }; unlink $path }
    return \%seen;
};
# Engines, desktops, agents of keys: what answers on such a socket acts outside. No use to who cannot make a socket.
$Q{host_sockets} = sub {
    my @seen = grep { -S $_ } map { glob } qw(/var/run/docker.sock /run/docker.sock /run/podman/podman.sock /run/containerd/containerd.sock /run/crio/crio.sock
        /run/libvirt/* /run/dbus/system_bus_socket /run/systemd/* /run/user/*/* /tmp/.X11-unix/* /tmp/ssh-*/* /run/casemate/* /run/casemate/*/*);
    return opened(1, 1) ? \@seen : [];
};
$Q{agent_variables} = sub {
    return [ grep { defined $ENV{$_} } qw(SSH_AUTH_SOCK GPG_AGENT_INFO DBUS_SESSION_BUS_ADDRESS DISPLAY WAYLAND_DISPLAY XDG_RUNTIME_DIR DOCKER_HOST KUBECONFIG VSCODE_IPC_HOOK_CLI SSH_CONNECTION) ];
};
$Q{environment} = sub { return { %ENV } };
$Q{agent_files} = sub {
    my $home = $ENV{HOME} // '/nonexistent'; my %seen;
    for my $path (map { "$home/$_" } qw(.claude/.credentials.json .claude.json .codex/auth.json .ssh/id_rsa .ssh/id_ed25519 .aws/credentials .netrc .npmrc .git-credentials .config/gh/hosts.yml .docker/config.json .kube/config .pypirc)) {
        my $text = slurp($path, 1 << 16); $seen{$path} = $text if defined $text;
    }
    return \%seen;
};
