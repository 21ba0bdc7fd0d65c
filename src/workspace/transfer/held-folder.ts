import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { descend, inFolder } from '../../system/descend.ts';
import { isErrno } from '../../system/files.ts';
import { openPlainFolder } from '../../system/plain-folder.ts';

/**
 * Folders of the host, held open. Someone else, even a sandbox, may be changing their contents, so each name is looked up in the
 * held folder, and no symbolic link is followed.
 */

/** `root` is real and absolute; `parts` plain names below it. Throws `PATH_INVALID`. */
export async function openFolder(root: string, parts: readonly string[]): Promise<FileHandle> {
  return await descend(await openRoot(root), parts, (folder, part, index) =>
    open(inFolder(folder, part), folderFlags).catch((error: unknown) => {
      throw fault(`${root}/${parts.slice(0, index + 1).join('/')}`, error);
    }),
  );
}

/** No part of its path is a link: it may lie in a sandbox's workspace. */
async function openRoot(root: string): Promise<FileHandle> {
  let top: FileHandle | undefined;
  try {
    top = await openPlainFolder(root);
    return await open(inFolder(top, '.'), folderFlags);
  } catch (error) {
    throw fault(root, error);
  } finally {
    await top?.close();
  }
}

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Of one entry on the host, without what the system says about addresses of its own. */
export function fault(path: string, error: unknown): CasemateError {
  const isLink = isErrno(error, 'ELOOP');
  const why = isLink
    ? 'is or leads through a symbolic link'
    : isErrno(error, 'ENOENT')
      ? 'does not exist'
      : isErrno(error, 'ENOTDIR')
        ? 'is no folder, or leads through a symbolic link'
        : isErrno(error, 'EEXIST')
          ? 'exists'
          : isErrno(error, 'ENXIO')
            ? 'is neither a file nor a folder'
            : `cannot be used (${error instanceof Error && 'code' in error ? String(error.code) : 'fault'})`;
  return new CasemateError('PATH_INVALID', `${visible(path)} ${why}`, {
    cause: error,
    hint: isErrno(error, 'EEXIST') ? 'Ask for it to be replaced (overwrite), or choose another name.' : undefined,
  });
}
