import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Paths } from '../system/paths.ts';

/**
 * Why a daemon did not come up, as a `WireError` in JSON for the process that started it. One file for each process: several
 * callers may start a daemon at the same time, and none must remove what another is about to read.
 */
export function startFaultPath(paths: Paths, pid: number): string {
  return join(paths.runtime, `daemon-start-fault-${pid}.json`);
}

/** Whoever waits for one reads it within seconds. */
const keptMs = 60_000;

/** Those that nobody read: their caller was killed. */
export async function removeOldFaults({ runtime }: Paths, nowMs: number): Promise<void> {
  const names = (await readdir(runtime)).filter((name) => /^daemon-start-fault-\d+\.json$/.test(name));
  await Promise.all(
    names.map(async (name) => {
      const path = join(runtime, name);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: nowMs }));
      await (nowMs - mtimeMs > keptMs ? rm(path, { force: true }) : undefined);
    }),
  );
}
