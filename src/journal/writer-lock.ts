import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { isErrno } from '../system/files.ts';

/**
 * Allows one writer at a time. The lock is SQLite's own lock on an empty file, held by the kernel (fcntl): a dead process holds
 * none, no process id can be mistaken for another, and it works across network and process namespaces.
 */
export interface WriterLock {
  readonly release: () => void;
}

/** Throws `JOURNAL_UNWRITABLE` when another writer, in this process or another, has the journal open. */
export async function lockWriter(folder: string): Promise<WriterLock> {
  const path = join(folder, 'writer.lock');
  await makeLockFile(path);
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw lockFault(folder, error);
  }
  return { release: () => database.close() };
}

/** SQLITE_BUSY: another has it. Anything else, such as a full disk, is a fault, and no proof that somebody writes. */
const busy = 5;

function lockFault(folder: string, cause: unknown): CasemateError {
  if (cause instanceof Error && 'errcode' in cause && cause.errcode === busy) {
    return new CasemateError('JOURNAL_UNWRITABLE', `another process writes the journal in ${folder}`, {
      cause,
      hint: 'A journal has one writer: the daemon. See: casemate daemon status',
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CasemateError('JOURNAL_UNWRITABLE', `cannot lock ${join(folder, 'writer.lock')}: ${why}`, {
    cause,
    hint: 'Check free space and permissions of that folder; the file itself holds nothing and may be removed.',
  });
}

async function makeLockFile(path: string): Promise<void> {
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(path, flags, 0o600);
    await file.close();
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) {
      throw error;
    }
  }
  // Not opened to look: closing any handle of a file drops the fcntl locks this very process has on it.
  if (!(await lstat(path)).isFile()) {
    throw new CasemateError('JOURNAL_UNWRITABLE', `${path} is not a regular file`, { hint: 'Remove it.' });
  }
}
