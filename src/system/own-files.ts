import { lstatSync, readdirSync, readFileSync, statSync, type BigIntStats } from 'node:fs';

import { isErrno } from './files.ts';

/**
 * Small files in folders of ours (state, configuration, images) and of the system's, looked at in place: some ten microseconds
 * of a processor. Through the pool of threads it is ten to twenty times that, and a start does it a hundred times. The state
 * file lies beside them and is read and written in place, too, so a disk that stalls holds up no more than it would.
 *
 * Not for a workspace, a home or what else of a user may lie on a network: what is read there in place is bounded
 * (`list-folder.ts`, `read-plain.ts`). And not for what is waited for until it is on disk.
 */

/** The text of a file, or `undefined` when there is none. Other faults are thrown. */
export function ownText(path: string): string | undefined {
  return unlessGone(() => readFileSync(path, 'utf8'));
}

/** Names in a folder, or `undefined` when there is none. Other faults are thrown. */
export function ownNames(folder: string): readonly string[] | undefined {
  return unlessGone(() => readdirSync(folder));
}

/** What the path leads to, links followed, or `undefined` when there is nothing, or nothing that can be seen. */
export function ownStats(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Whether there is something of this name, be it a link that leads nowhere, or whether that cannot be told. */
export function mayBeThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return !isGone(error);
  }
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isGone(error)) {
      return undefined;
    }
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR');
}
