import { constants } from 'node:fs';
import { lstat, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { visibleLines } from '../../base/text.ts';

/** The output of commands without a terminal, as it was stored on the host. */
export interface KeptOutput {
  /** id of the execution */
  readonly execution: string;
  readonly startedMs: number;
  readonly bytes: Buffer;
}

/** What a sandbox's commands leave on the host, whoever calls them how often: so many files, and bytes in all. */
const keptBounds = { files: 256, bytes: 64 * 1024 * 1024 } as const;

/** Removes what was written longest ago, beyond the bounds. `running`: ids of executions whose output is still being written. */
export async function trimKeptOutput(
  folder: string,
  running: ReadonlySet<string>,
  bounds: { readonly files: number; readonly bytes: number } = keptBounds,
): Promise<void> {
  const found = await Promise.all(
    (await keptNames(folder)).map(async (name) => {
      const path = join(folder, 'logs', name);
      const { mtimeMs, size } = await lstat(path);
      return { path, mtimeMs, size, isRunning: running.has(name.slice(0, -4)) };
    }),
  );
  // What cannot go yet takes its share first.
  const lastToGoFirst = found.toSorted((a, b) => Number(b.isRunning) - Number(a.isRunning) || b.mtimeMs - a.mtimeMs);
  let bytes = 0;
  for (const [index, { path, size, isRunning }] of lastToGoFirst.entries()) {
    bytes += size;
    if ((index >= bounds.files || bytes > bounds.bytes) && !isRunning) {
      // oxlint-disable-next-line no-await-in-loop -- one, as a rule: it is looked at whenever a command ends
      await rm(path, { force: true });
    }
  }
}

async function keptNames(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(folder, 'logs')).catch(() => []);
  return names.filter((name) => /^ex-[0-9a-f]{16}\.log$/.test(name));
}

export interface KeptFile {
  /** id of the execution */
  readonly execution: string;
  readonly startedMs: number;
  readonly size: number;
}

/** Oldest first. `folder`: of the sandbox; a sandbox cannot reach it. */
export async function listKeptOutput(folder: string): Promise<readonly KeptFile[]> {
  const found = await Promise.all(
    (await keptNames(folder)).map(async (name) => {
      // Output is removed while commands go on.
      const stats = await lstat(join(folder, 'logs', name)).catch(() => undefined);
      return stats === undefined ? [] : [{ execution: name.slice(0, -4), startedMs: stats.birthtimeMs, size: stats.size }];
    }),
  );
  return found.flat().toSorted((a, b) => a.startedMs - b.startedMs);
}

/** The last bytes of one, at most so many; none where it is gone. */
export async function endOfKept(folder: string, execution: string, most: number): Promise<Buffer> {
  const path = join(folder, 'logs', `${execution}.log`);
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  try {
    const { size } = (await file?.stat()) ?? { size: 0 };
    const bytes = Buffer.alloc(Math.min(size, most));
    const { bytesRead } = (await file?.read(bytes, 0, bytes.length, size - bytes.length)) ?? { bytesRead: 0 };
    return bytes.subarray(0, bytesRead);
  } finally {
    await file?.close();
  }
}

/** Oldest first, whole. */
export async function readKeptOutput(folder: string): Promise<readonly KeptOutput[]> {
  const kept = await listKeptOutput(folder);
  return await Promise.all(
    kept.map(async ({ execution, startedMs }) => ({
      execution,
      startedMs,
      bytes: await endOfKept(folder, execution, keptBounds.bytes),
    })),
  );
}

/** The last lines, with control characters as escapes. */
export function lastLines(bytes: Buffer, count: number): readonly string[] {
  const lines = visibleLines(bytes.toString('utf8')).split('\n');
  return (lines.at(-1) === '' ? lines.slice(0, -1) : lines).slice(-count);
}
