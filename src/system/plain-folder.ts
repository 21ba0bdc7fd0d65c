import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { descend, inFolder } from './descend.ts';
import { isErrno } from './files.ts';

/**
 * Opens a folder by its absolute path, one name at a time, each looked up in the folder before it, and accepts no symbolic link
 * anywhere in the path. For folders whose parents someone else may be changing, for example another sandbox whose workspace
 * contains this one.
 */
export async function openPlainFolder(path: string): Promise<FileHandle> {
  const names = path.split('/').filter((part) => part !== '');
  return await descend(await open('/', flags), names, (folder, name) => open(inFolder(folder, name), flags));
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
