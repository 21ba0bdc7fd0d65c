# Runs inside a sandbox: puts requests to the Docker that is offered there, one connection each. In: a line for each request,
# method, path and body, with tabs between. Out: a line for each, status (0: none) and the beginning of the answer, as hex.
use strict; use warnings;
$| = 1;
my $packed = gethostbyname('docker.casemate.internal');
while (my $line = <STDIN>) {
    chomp $line;
    my ($method, $path, $body) = split /\t/, $line, 3;
    $body //= '';
    my ($answer, $socket) = ('');
    if (defined $packed && socket($socket, 2, 1, 0) && connect($socket, pack('S n a4 x8', 2, 2375, $packed))) {
        my $head = "$method $path HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\n";
        syswrite($socket, $head . 'Content-Length: ' . length($body) . "\r\n\r\n" . $body);
        eval {
            local $SIG{ALRM} = sub { die };
            alarm 60;
            while (length $answer < 65536 && sysread($socket, $answer, 65536, length $answer)) { }
            alarm 0;
        };
    }
    my ($status) = $answer =~ m{^HTTP/1\.[01] (\d+)};
    my ($text) = $answer =~ /\r\n\r\n(.*)/s;
    print(($status // 0) . "\t" . unpack('H*', substr($text // '', 0, 400)) . "\n");
}
