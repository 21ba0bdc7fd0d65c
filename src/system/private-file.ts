import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { isErrno } from './files.ts';

/**
 * Reads a file that must be a secret of its owner: a regular file, not a link, owned by the caller and closed to everyone else.
 */

export interface PrivateFileOptions {
  /** who must own the file */
  readonly uid: number;
  readonly maxBytes: number;
}

/** Throws `PATH_INVALID` with the command that would make the file acceptable. The content is in no message. */
export async function readPrivateFile(path: string, options: PrivateFileOptions): Promise<string> {
  const file = await openWithoutFollowing(path);
  try {
    await requirePrivate(file, path, options);
    return await readAtMost(file, path, options.maxBytes);
  } finally {
    await file.close();
  }
}

/** Why it would be refused; `undefined`: it is there and private. Nothing of it is read. */
export async function privateFileFault(
  path: string,
  options: Pick<PrivateFileOptions, 'uid'>,
): Promise<CasemateError | undefined> {
  try {
    const file = await openWithoutFollowing(path);
    try {
      await requirePrivate(file, path, options);
      return undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CasemateError) {
      return error;
    }
    throw error;
  }
}

async function openWithoutFollowing(path: string): Promise<FileHandle> {
  try {
    // O_NONBLOCK: opening a named pipe must not wait for its writer.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ELOOP')) {
      throw refused(path, 'is a symbolic link', 'Name the file itself.');
    }
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) {
      throw refused(path, 'does not exist', undefined);
    }
    throw refused(
      path,
      `cannot be opened (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault'})`,
      undefined,
    );
  }
}

async function requirePrivate(file: FileHandle, path: string, options: Pick<PrivateFileOptions, 'uid'>): Promise<void> {
  const stats = await file.stat();
  if (!stats.isFile()) {
    throw refused(path, 'is not a regular file', undefined);
  }
  if (stats.uid !== options.uid) {
    throw refused(path, `belongs to user ${stats.uid}, not to you (${options.uid})`, 'Use a file of your own.');
  }
  if ((stats.mode & 0o177) !== 0) {
    throw refused(path, 'can be read or changed by others, or run', `Run: chmod 600 ${visible(path)}`);
  }
}

async function readAtMost(file: FileHandle, path: string, maxBytes: number): Promise<string> {
  const buffer = Buffer.alloc(maxBytes + 1);
  let size = 0;
  while (size < buffer.length) {
    // oxlint-disable-next-line no-await-in-loop -- each read goes on where the last one ended
    const { bytesRead } = await file.read(buffer, size, buffer.length - size);
    if (bytesRead === 0) {
      break;
    }
    size += bytesRead;
  }
  if (size > maxBytes) {
    throw refused(path, `is longer than ${maxBytes} bytes`, undefined);
  }
  return buffer.toString('utf8', 0, size);
}

function refused(path: string, why: string, hint: string | undefined): CasemateError {
  return new CasemateError('PATH_INVALID', `${visible(path)} ${why}`, { hint });
}
