import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { isErrno } from './files.ts';

/**
 * Opens a folder by its absolute path, one name at a time, each looked up in the folder before it, and accepts no symbolic link
 * anywhere in the path. For folders whose parents someone else may be changing, for example another sandbox whose workspace
 * contains this one.
 */
export async function openPlainFolder(path: string): Promise<FileHandle> {
  let held = await open('/', flags);
  for (const name of path.split('/').filter((part) => part !== '')) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- each is looked up in the one before
      const next = await open(`/proc/self/fd/${held.fd}/${name}`, flags);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await held.close();
      held = next;
    } catch (error) {
      // oxlint-disable-next-line no-await-in-loop -- the last step
      await held.close();
      throw error;
    }
  }
  return held;
}

/** O_PATH, which Node does not name: a folder that may be entered need not be one that may be listed. */
const O_PATH = 0o10_000_000;
const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** `work` is given a path that stays this very folder. `undefined`: there is no such folder, or a link leads to it. */
export async function inPlainFolder<T>(path: string, work: (at: string) => Promise<T>): Promise<T | undefined> {
  const held = await openPlainFolder(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR') || isErrno(error, 'ELOOP')) {
      return undefined;
    }
    throw error;
  });
  try {
    return held === undefined ? undefined : await work(`/proc/self/fd/${held.fd}`);
  } finally {
    await held?.close();
  }
}
