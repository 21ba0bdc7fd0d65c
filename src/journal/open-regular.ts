import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';

import { CasemateError, type ErrorCode } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { isErrno } from '../system/files.ts';

/** Opens files of the journal so that a link, a pipe, a device or a folder in their place is refused without being read. */

export interface OpenOptions {
  /** beside `O_NOFOLLOW` and `O_NONBLOCK` */
  readonly flags: number;
  readonly code: ErrorCode;
  readonly mode?: number | undefined;
}

/** Throws `code` with the path and what stands there. `ENOENT` and other faults of the system are thrown as they are. */
export async function openRegular(path: string, options: OpenOptions): Promise<FileHandle> {
  const { flags, code, mode = 0o600 } = options;
  await refuseSpecial(path, code);
  // Opening a pipe to read would wait for a writer; O_NONBLOCK does not, and means nothing for a regular file.
  const file = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode).catch((error: unknown) => {
    throw isErrno(error, 'ELOOP') ? notRegular(path, 'a symbolic link', code) : error;
  });
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    throw notRegular(path, 'not a regular file', code);
  }
  return file;
}

/** Opening a device can have effects of its own, so look before. */
async function refuseSpecial(path: string, code: ErrorCode): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  });
  if (stats?.isSymbolicLink() === true) {
    throw notRegular(path, 'a symbolic link', code);
  }
  if (stats?.isDirectory() === true) {
    throw notRegular(path, 'a folder', code);
  }
  if (stats !== undefined && !stats.isFile()) {
    throw notRegular(path, stats.isFIFO() ? 'a pipe' : 'a device or socket', code);
  }
}

function notRegular(path: string, what: string, code: ErrorCode): CasemateError {
  return new CasemateError(code, `${visible(path)} is ${what}, not a regular file`, {
    hint: 'Give the path of the file itself.',
  });
}

/** The whole of a small regular file, or `undefined` when there is none. Throws `code` past `limit` bytes. */
export async function readSmall(
  path: string,
  options: { readonly code: ErrorCode; readonly limit?: number },
): Promise<Buffer | undefined> {
  const { code, limit = 64 * 1024 } = options;
  try {
    const file = await openRegular(path, { flags: constants.O_RDONLY, code });
    try {
      const { size } = await file.stat();
      if (size > limit) {
        throw new CasemateError(code, `${visible(path)} is larger than ${limit} bytes`);
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
}
