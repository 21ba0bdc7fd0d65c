# Text that would drive a terminal, in places of which the host later shows something. GIVEN: the text, a folder, a host.
use Socket ();

my ($TEXT, $WHERE, $HOST) = @main::GIVEN;

# Asks for the host while it calls itself so. No escape can stand in a header, but 8-bit controls can.
$Q{ask_as} = sub {
    $0 = $TEXT;
    my $address = gethostbyname($HOST) or return 'no address';
    my $stream = opened(Socket::PF_INET(), Socket::SOCK_STREAM()) or return errname();
    connect($stream, Socket::pack_sockaddr_in(80, $address)) or return errname();
    my $agent = ($TEXT =~ s/\e.*//sr) . "\x9b2J\x9d0;t\x9c\x90q\x9c";
    syswrite $stream, "GET / HTTP/1.1\r\nHost: $HOST\r\nUser-Agent: $agent\r\nConnection: close\r\n\r\n";
    sysread $stream, my $answer, 64;
    return substr($answer // '', 9, 3);
};

# A program by that name; it is Perl.
$Q{name_program} = sub { return tried {; symlink '/usr/bin/perl', "/tmp/$TEXT" } };

# Repositories, of which a person is told at the end of the command; a name with 8-bit bytes is no UTF-8.
$Q{make_repositories} = sub {
    my $made = 0;
    for my $name ($TEXT, "raw\x9b2J\x9d0;t\x9c") {
        my $done = tried {; mkdir("$WHERE/$name") && mkdir("$WHERE/$name/.git") && open(my $config, '>', "$WHERE/$name/.git/config") };
        $made += $done eq 'DONE';
    }
    return $made;
};
