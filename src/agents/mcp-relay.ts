import { parseHost, type HostName } from '../base/host.ts';

/**
 * How an agent reaches a server that runs in a sandbox of its own: the command it starts connects its standard input and output
 * to a name at the gateway, and the daemon connects that to the server's. This puts no program of ours into the sandbox.
 */

/** Of the reserved domain `internal`, one name for each server. */
export const relayPort = 7700;

export function relayHost(index: number): HostName {
  return parseHost(`mcp-${index + 1}.casemate.internal`);
}

/**
 * `perl` is in every Debian. Two processes, one for each way, so that neither waits for the other; what ends one ends both.
 * A server that ends, and one that cannot be reached, end it with status 1. The kernel of gVisor answers a read that should
 * wait with EAGAIN.
 */
const program = String.raw`use strict; use IO::Socket::INET; use Errno;
my $far = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Proto => 'tcp') or die "this server cannot be reached\n";
$SIG{PIPE} = 'IGNORE';
sub later { my ($from, $to) = @_; return unless $!{EAGAIN} || $!{EINTR}; my $bits = ''; vec($bits, fileno($from // $to), 1) = 1; select($from ? $bits : undef, $to ? $bits : undef, undef, undef); return 1; }
sub carry {
  my ($from, $to) = @_;
  while (1) {
    my $size = sysread($from, my $piece, 65536);
    if (!defined $size) { next if later($from, undef); return; }
    return if $size == 0;
    for (my $sent = 0; $sent < $size;) { my $more = syswrite($to, $piece, $size - $sent, $sent); if ($more) { $sent += $more; } else { return unless later(undef, $to); } }
  }
}
my $child = fork; defined $child or die "no process\n";
if ($child == 0) { carry(\*STDIN, $far); shutdown($far, 1); exit 0; }
$SIG{$_} = sub { kill KILL => $child; exit 1; } for qw(TERM INT HUP);
carry($far, \*STDOUT); kill KILL => $child; exit 1;
`;

export function relayCommand(host: HostName): { readonly command: string; readonly args: readonly string[] } {
  return { command: 'perl', args: ['-e', program, host, String(relayPort)] };
}
