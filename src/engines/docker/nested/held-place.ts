import { constants } from 'node:fs';
import { open, readFile, type FileHandle } from 'node:fs/promises';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { descend, inFolder } from '../../../system/descend.ts';
import { isErrno } from '../../../system/files.ts';
import { openPlainFolder } from '../../../system/plain-folder.ts';

/**
 * A place below the workspace or the home, held open. The sandbox may be changing names there, so each name is looked up in the
 * folder before it, no symbolic link is followed, and what was found is used by its handle and never again by its path (the
 * lookups of CVE-2018-15664, CVE-2021-30465 and CVE-2024-23651 were done twice).
 */
export interface HeldPlace {
  readonly handle: FileHandle;
  readonly kind: 'folder' | 'file';
}

/** `root` is a real path of the host; `path` the place as the sandbox names it, for messages. Throws `PATH_INVALID`. */
export async function openPlace(root: string, names: readonly string[], path: string): Promise<HeldPlace> {
  let held = await openPlainFolder(root).catch((error: unknown) => refuse(path, error));
  try {
    const mount = await mountIdOf(held);
    held = await descend(held, names, (folder, name, index) => {
      const flags = O_PATH | constants.O_NOFOLLOW | (index < names.length - 1 ? constants.O_DIRECTORY : 0);
      return open(inFolder(folder, name), flags);
    });
    const stats = await held.stat();
    if (!stats.isDirectory() && !stats.isFile()) {
      throw new CasemateError(
        'PATH_INVALID',
        `${visible(path)} ${stats.isSymbolicLink() ? 'is a symbolic link' : 'is neither a file nor a folder'}`,
      );
    }
    // What the host has mounted there the sandbox is not shown, so its containers are not either.
    if ((await mountIdOf(held)) !== mount) {
      throw new CasemateError('PATH_INVALID', `${visible(path)} is something else on the host than in the sandbox`);
    }
    return { handle: held, kind: stats.isDirectory() ? 'folder' : 'file' };
  } catch (error) {
    // Where a step failed it is closed already; to close it again does nothing.
    await held.close();
    return refuse(path, error);
  }
}

/** Which mount an open handle lies in (proc(5), `fdinfo`). */
async function mountIdOf(handle: FileHandle): Promise<string> {
  const told = /^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8'))?.[1];
  if (told === undefined) {
    throw new CasemateError('ENGINE_FAILED', 'the system does not say in which mount a folder lies');
  }
  return told;
}

function refuse(path: string, error: unknown): never {
  if (error instanceof CasemateError) {
    throw error;
  }
  const why = isErrno(error, 'ENOENT')
    ? 'does not exist'
    : isErrno(error, 'ELOOP') || isErrno(error, 'ENOTDIR')
      ? 'leads through a symbolic link, or through what is no folder'
      : 'cannot be opened';
  throw new CasemateError('PATH_INVALID', `${visible(path)} ${why}`, { cause: error });
}

/** O_PATH, which Node does not name. */
const O_PATH = 0o10_000_000;
