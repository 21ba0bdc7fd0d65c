import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from './files.ts';

/** Removes a folder that a sandbox filled, whatever modes it set and however deep it nested. */

/**
 * Nothing may still write in the folder. Links are removed and never followed. The quick way fails on folders that their
 * owner may not enter and on paths longer than the system takes (PATH_MAX); then every folder is first opened up and
 * moved to the top of the tree, so that no path is ever longer than two names.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    if (!['EACCES', 'EPERM', 'ENAMETOOLONG', 'ENOTEMPTY'].some((code) => isErrno(error, code))) {
      throw error;
    }
    await removeFlattened(path);
  }
}

async function removeFlattened(path: string): Promise<void> {
  await openUp(path);
  const top = join(path, `.removing-${randomBytes(6).toString('hex')}`);
  await mkdir(top, { mode: 0o700 });
  const aside = Buffer.from(top);
  let moved = 0;
  const empty = async (folder: string): Promise<void> => {
    // Names are bytes: a sandbox may choose ones that are not UTF-8.
    for (const name of await readdir(folder, { encoding: 'buffer' })) {
      const entry = Buffer.concat([Buffer.from(`${folder}/`), name]);
      if (entry.equals(aside)) {
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop -- one after the other: there may be millions
      if ((await lstat(entry)).isDirectory()) {
        moved += 1;
        // oxlint-disable-next-line no-await-in-loop -- a folder can only be moved by who may write in it
        await openUp(entry);
        // oxlint-disable-next-line no-await-in-loop -- as above
        await rename(entry, join(top, String(moved)));
      } else {
        // oxlint-disable-next-line no-await-in-loop -- as above
        await unlink(entry);
      }
    }
  };
  await empty(path);
  // oxlint-disable-next-line no-await-in-loop -- as above
  for (let names = await readdir(top); names.length > 0; names = await readdir(top)) {
    for (const name of names) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await empty(join(top, name));
      // oxlint-disable-next-line no-await-in-loop -- as above
      await rmdir(join(top, name));
    }
  }
  await rmdir(top);
  await rmdir(path);
}

/** open(2), Linux: a handle that names a file and reads nothing, so that no right to it is needed. */
const O_PATH = 0o10000000;

/** Gives the owner all rights, through a handle: a link that takes the folder's place is not followed. */
async function openUp(folder: string | Buffer): Promise<void> {
  const handle = await open(folder, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    // fchmod(2) does not take such a handle; its name in /proc leads to the very folder.
    await chmod(`/proc/self/fd/${handle.fd}`, 0o700);
  } finally {
    await handle.close();
  }
}
