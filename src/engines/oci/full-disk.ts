import { statfs } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';

/** Asks the file system whether there is room: a runtime that finds none fails with whatever it was about to write. */

/** bytes a container's own files need, with room to spare */
const neededBytes = 256 * 1024;

/** The error to report where the file system of `folder` has no room left, else `undefined`. */
export async function fullDisk(folder: string): Promise<CasemateError | undefined> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize < neededBytes ? noRoom(folder) : undefined;
}

/** Where a write has said so itself: what was half made may have been taken away since, and left room. */
export function noRoom(folder: string): CasemateError {
  return new CasemateError('DISK_FULL', `the disk is full: no room for a sandbox in ${folder}`, {
    hint: 'Free space there, or point CASEMATE_HOME to a larger disk.',
  });
}
