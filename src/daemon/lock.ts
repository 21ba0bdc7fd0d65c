import { DatabaseSync } from 'node:sqlite';

/**
 * One daemon per state folder. The lock is a write transaction of SQLite that is never ended: the kernel drops it with
 * the process, however that dies, so there is no stale lock to judge.
 */
export interface DaemonLock {
  readonly release: () => void;
}

/** `undefined` when another process holds it. */
export function takeDaemonLock(path: string): DaemonLock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch {
    database.close();
    return undefined;
  }
  return { release: () => database.close() };
}
