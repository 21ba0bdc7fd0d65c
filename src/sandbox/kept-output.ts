import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { visibleLines } from '../base/text.ts';

/** What commands without a terminal printed, as it was kept on the host. */
export interface KeptOutput {
  /** id of the execution */
  readonly execution: string;
  readonly startedMs: number;
  readonly bytes: Buffer;
}

/** Oldest first. `folder`: of the sandbox; a sandbox cannot reach it. */
export async function readKeptOutput(folder: string): Promise<readonly KeptOutput[]> {
  const logs = join(folder, 'logs');
  const names = (await readdir(logs).catch(() => [])).filter((name) => /^ex-[0-9a-f]{16}\.log$/.test(name));
  const read = await Promise.all(
    names.map(async (name) => {
      const file = await open(join(logs, name), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const { birthtimeMs } = await file.stat();
        return { startedMs: birthtimeMs, execution: name.slice(0, -4), bytes: await file.readFile() };
      } finally {
        await file.close();
      }
    }),
  );
  return read.toSorted((a, b) => a.startedMs - b.startedMs);
}

/** The last lines, with control characters as escapes. */
export function lastLines(bytes: Buffer, count: number): readonly string[] {
  const lines = visibleLines(bytes.toString('utf8')).split('\n');
  return (lines.at(-1) === '' ? lines.slice(0, -1) : lines).slice(-count);
}
