import { readFileSync } from 'node:fs';

import { dataFile } from '../../system/data-file.ts';

/** The argument list that starts the sender or the receiver inside a sandbox. Its arguments are those of `inside.pl`. */
export function insideProgram(args: readonly string[]): readonly string[] {
  return ['/usr/bin/perl', '-e', readFileSync(dataFile('workspace/transfer/inside.pl'), 'utf8'), '--', ...args];
}
