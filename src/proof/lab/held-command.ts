import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Inside } from '../target.ts';
import type { LabSandbox } from './lab.ts';

/** A command that runs inside until it is released, so that it can be observed meanwhile; at most half a minute. */
export interface HeldCommand {
  /** is among its arguments */
  readonly nonce: string;
  readonly release: () => Promise<Inside>;
}

/** Waits for the word to go, with the command's nonce and the path of the word as arguments. */
const waiting = 'my ($nonce, $file) = @ARGV; select undef, undef, undef, 0.03 until -e $file || time - $^T > 30;';

/**
 * `start` runs an argument list inside, by whichever way in. The word to go is a file of the host in the workspace; `before` is
 * Perl that finds the nonce in `$ARGV[0]`, without single quotes and line ends.
 */
export function holdCommand(
  { workspace }: Pick<LabSandbox, 'workspace'>,
  start: (command: readonly string[]) => Promise<Inside>,
  before = '',
): HeldCommand {
  const nonce = randomBytes(8).toString('hex');
  const name = `.go-${nonce}`;
  const running = start(['perl', '-e', `${before} ${waiting}`, nonce, `/workspace/${name}`]);
  running.catch(() => undefined);
  return {
    nonce,
    async release() {
      await writeFile(join(workspace, name), '');
      try {
        return await running;
      } finally {
        await rm(join(workspace, name), { force: true });
      }
    },
  };
}
