import { ownStats } from '../../system/own-files.ts';

/**
 * Caches a result about some files for as long as the system says that they are unchanged: device, inode, size and both times of
 * change (stat(2)); the second of these only the system can set.
 */
export interface KnownFiles<T> {
  /** What `read` makes of the files at `paths`, which belong to `key`. Files that changed a moment ago are read again. */
  readonly recall: (key: string, paths: readonly string[], read: () => Promise<T>) => Promise<T>;
}

interface Known<T> {
  readonly print: string;
  readonly value: T;
}

/** A file system may count times in steps; a change within one step would not be seen. */
const settledMs = 2000;

export function knownFiles<T>(nowMs: () => number = Date.now): KnownFiles<T> {
  const known = new Map<string, Known<T>>();
  return {
    async recall(key, paths, read) {
      const print = fingerprint(paths, nowMs());
      const before = known.get(key);
      if (print !== undefined && before?.print === print) {
        return before.value;
      }
      known.delete(key);
      const value = await read();
      // Changed while they were read: then they are read again the next time.
      if (print !== undefined && fingerprint(paths, nowMs()) === print) {
        known.set(key, { print, value });
      }
      return value;
    },
  };
}

/** `undefined` where a file is missing or has only just changed. */
function fingerprint(paths: readonly string[], nowMs: number): string | undefined {
  const rows = paths.map(ownStats);
  const isSettled = rows.every((row) => row !== undefined && Math.abs(nowMs - Number(row.ctimeMs)) > settledMs);
  return isSettled
    ? rows.map((row) => row && [row.dev, row.ino, row.size, row.mtimeNs, row.ctimeNs].join()).join(';')
    : undefined;
}
