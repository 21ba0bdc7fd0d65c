import { constants } from 'node:fs';
import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises';

import { inFolder } from './descend.ts';
import { isErrno } from './files.ts';

/**
 * Makes a folder in one that is held, where none is, for whom that one belongs to, and opens it; no link is followed. Others may
 * be changing names there, a sandbox even: between the two steps another folder may be put in its place, one of root's in a
 * workspace for example. Only an empty one is given away, which whoever may change names there could have made himself.
 * `options.opened` is what opens it. Throws what the system says.
 */
export async function madeFolderIn(
  held: FileHandle,
  name: string,
  { opened = open }: { readonly opened?: typeof open | undefined } = {},
): Promise<FileHandle> {
  const path = inFolder(held, name);
  const isNew = await mkdir(path, 0o755).then(
    () => true,
    (error: unknown) => {
      if (isErrno(error, 'EEXIST')) {
        return false;
      }
      throw error;
    },
  );
  const handle = await opened(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const { uid, gid } = await held.stat();
    if (isNew && process.geteuid?.() === 0 && uid !== 0 && (await readdir(`/proc/self/fd/${handle.fd}`)).length === 0) {
      await handle.chown(uid, gid);
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
