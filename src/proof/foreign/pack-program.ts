/**
 * Packs a probing program for its way through someone else's command line: only letters and digits, because a tool may quote it
 * again for each shell it passes through, and an argument has room for 128 KiB (execve(2)).
 */

/** `perl -e TEXT ARG...` as `perl -e UNPACK PACKED ARG...`; other commands as they are. */
export function packProgram(command: readonly string[]): readonly string[] {
  const [perl, flag, text, ...rest] = command;
  return perl === 'perl' && flag === '-e' && text !== undefined
    ? [perl, flag, unpack, Buffer.from(text, 'utf8').toString('base64').replaceAll('=', ''), ...rest]
    : command;
}

/** Base64 is what `unpack("u")` reads in another alphabet, sixty letters a line. Without quotes, dollars that end a word, or line feeds. */
const unpack =
  '$_=shift;tr|A-Za-z0-9+/| -_|;my $text=q();$text.=unpack(q(u),chr(32+int(length($1)*3/4)).$1) while /(.{1,60})/gs;eval $text;die $@ if $@';
