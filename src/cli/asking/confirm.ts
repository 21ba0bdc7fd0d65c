import { createInterface } from 'node:readline/promises';

import type { CommandContext } from '../command.ts';

/** Whether standard input and standard error are a terminal: only then can a person be asked. */
export function canAsk({ stdin, stderr }: CommandContext): boolean {
  const ends: readonly (boolean | undefined)[] = [stdin.isTTY, stderr.isTTY];
  return ends.every((end) => end === true);
}

/** `y` or `yes` typed at the terminal. The question must be safe to print. */
export async function confirm({ stdin, stderr }: CommandContext, question: string): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
