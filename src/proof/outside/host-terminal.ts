import { readFile } from 'node:fs/promises';

import { dataFile } from '../../system/data-file.ts';

/** A terminal of this host at which a command is run, and what was typed into it from inside (CVE-2017-5226). */
export interface Typed {
  /** what the command typed */
  readonly theirs: string;
  /** what this host typed afterwards, `own` where that works, else the name of an error */
  readonly own: string;
}

/** The argument list that runs `command` there; what it prints ends with a line that begins with `word`. */
export async function atTerminal(word: string, command: readonly string[]): Promise<readonly string[]> {
  return ['perl', '-e', await readFile(dataFile('proof/outside/at-terminal.pl'), 'utf8'), word, ...command];
}

/** `undefined`: the line is missing, as where the command was never run. */
export function readTyped(out: Buffer, word: string): Typed | undefined {
  const line = out
    .toString('latin1')
    .split('\n')
    .findLast((text) => text.startsWith(`${word} `));
  const [, theirs, own] = line?.split(' ') ?? [];
  return theirs === undefined || own === undefined ? undefined : { theirs: unpack(theirs), own: unpack(own) };
}

function unpack(text: string): string {
  return text === '-' ? '' : /^(?:[0-9a-f]{2})+$/.test(text) ? Buffer.from(text, 'hex').toString('latin1') : text;
}
