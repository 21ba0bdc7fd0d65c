import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { CasemateError } from '../base/errors.ts';
import type { Paths } from '../system/paths.ts';

/**
 * Allows one daemon per state folder. The lock is a write transaction of SQLite that is never finished: the kernel drops it with
 * the process, however that dies, so no lock can be stale.
 */
export interface DaemonLock {
  readonly release: () => void;
}

/** SQLITE_BUSY: somebody else has it. Anything else is a fault, and no proof that a daemon runs. */
const busy = 5;

/** `undefined` when another process holds it. Throws `STORE_FAILED` when the file cannot be used. */
export function takeDaemonLock(path: string): DaemonLock | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === busy) {
      return undefined;
    }
    throw new CasemateError('STORE_FAILED', `cannot lock ${path}: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
      hint: 'Check free space and permissions of that folder; the file itself holds nothing and may be removed.',
    });
  }
  const held = database;
  return { release: () => held.close() };
}

export function daemonLock({ state }: Pick<Paths, 'state'>): string {
  return join(state, 'daemon.lock');
}

/**
 * Whether some daemon lives, also one that does not listen yet, or no more. Looks by taking the lock for a moment: a daemon that
 * begins in it makes way, and whoever wants one begins another (`connectClient`).
 */
export function isLockHeld(path: string): boolean {
  if (!existsSync(path)) {
    return false;
  }
  try {
    const lock = takeDaemonLock(path);
    lock?.release();
    return lock === undefined;
  } catch {
    // What cannot be locked holds nobody.
    return false;
  }
}
