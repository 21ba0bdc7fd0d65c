/** What a held command reports of itself, in lines after its nonce (see `held-command.ts`). */
export interface Told {
  /** fields of `/proc/self/status` */
  readonly status: Readonly<Record<string, string>>;
  /** numbers of its open descriptors */
  readonly open: readonly string[];
  /** each `NAME=value` */
  readonly variables: readonly string[];
  /** what came of typing into standard input: `done` or `refused` */
  readonly typed: string | undefined;
  /** it told all */
  readonly complete: boolean;
}

/** To be put before the waiting: Perl without single quotes and line ends, so that it can be typed into a shell. */
export const tellingProgram = [
  '$| = 1; my $n = $ARGV[0]; print "\\n";',
  'open my $s, "<", "/proc/self/status"; my %s = map { /^(\\w+):\\s*(.*)/ ? ($1, $2) : () } <$s>; close $s;',
  'print map { "$n status $_=$s{$_}\\n" } grep { defined $s{$_} }',
  'qw(CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Uid Gid Groups Umask);',
  'print map { "$n open $_\\n" } grep { defined readlink "/proc/self/fd/$_" } 0 .. 255;',
  'print map { "$n variable $_=" . $ENV{$_} =~ s/\\s+/ /gr . "\\n" } sort keys %ENV;',
  'print "$n typed ", (ioctl(STDIN, 0x5412, my $c = " ") ? "done" : "refused"), "\\n";',
  'print "$n end\\n";',
].join(' ');

/** A terminal ends lines with CR, too, and shows what was typed before. */
export function readTold(text: string, nonce: string): Told {
  const lines = text
    .split('\n')
    .map((line) => line.trimEnd())
    .flatMap((line) => (line.startsWith(`${nonce} `) ? [line.slice(nonce.length + 1)] : []));
  const after = (word: string): readonly string[] =>
    lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  const fields = after('status').map((line) => line.split('='));
  return {
    status: Object.fromEntries(fields.map(([name = '', value = '']) => [name, value.trim()])),
    open: after('open'),
    variables: after('variable'),
    typed: after('typed')[0],
    complete: lines.includes('end'),
  };
}
