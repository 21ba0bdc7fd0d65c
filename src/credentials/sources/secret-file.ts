import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { dirname, isAbsolute, sep } from 'node:path';

import { visible } from '../../base/text.ts';
import { stampOf } from '../../system/file-stamp.ts';
import { isErrno } from '../../system/files.ts';
import { maxValueBytes, unavailable } from './checked-value.ts';

/**
 * A secret that Docker or Kubernetes mounted as a file. The kubelet exposes it through links (`token` to `..data/token`,
 * `..data` to a dated folder) and renews it by replacing one of them, so links are followed, but only within the folder of the
 * secret. Others may read such a file by design; only root or its user may change it.
 */
export interface SecretFile {
  readonly content: string;
  readonly stamp: string | undefined;
}

/** `undefined` where nothing is mounted. Throws `CREDENTIAL_UNAVAILABLE`. */
export async function readSecretFile(path: string, { uid }: { readonly uid: number }): Promise<SecretFile | undefined> {
  if (!isAbsolute(path)) {
    throw unavailable(`mounted secret ${visible(path)} is not an absolute path`);
  }
  // The kubelet may replace the dated folder between resolving and opening.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    // oxlint-disable-next-line no-await-in-loop -- tries follow each other
    const found = await attemptRead(path, uid);
    if (found !== 'replaced') {
      return found;
    }
  }
  throw unavailable(`mounted secret ${visible(path)} is replaced faster than it can be read`);
}

async function attemptRead(path: string, uid: number): Promise<SecretFile | 'replaced' | undefined> {
  const real = await resolveWithin(path);
  if (real === undefined) {
    return undefined;
  }
  const stamp = await stampOf(path);
  let file: FileHandle;
  try {
    file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ELOOP')) {
      return 'replaced';
    }
    throw unavailable(`mounted secret ${visible(path)} cannot be opened`, 'It must be readable by you.');
  }
  try {
    return { content: await readChecked(file, path, uid), stamp };
  } finally {
    await file.close();
  }
}

async function resolveWithin(path: string): Promise<string | undefined> {
  try {
    const [real, folder] = await Promise.all([realpath(path), realpath(dirname(path))]);
    if (!real.startsWith(`${folder}${sep}`)) {
      throw unavailable(`mounted secret ${visible(path)} is a link that leads out of its folder`, 'Name the file itself.');
    }
    return real;
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}

async function readChecked(file: FileHandle, path: string, uid: number): Promise<string> {
  const stats = await file.stat();
  const fault = !stats.isFile()
    ? 'is not a regular file'
    : stats.uid !== 0 && stats.uid !== uid
      ? `belongs to user ${stats.uid}, neither to root nor to you`
      : (stats.mode & 0o022) !== 0
        ? 'can be changed by others'
        : stats.size > maxValueBytes
          ? `is longer than ${maxValueBytes} bytes`
          : undefined;
  if (fault !== undefined) {
    throw unavailable(`mounted secret ${visible(path)} ${fault}`);
  }
  const buffer = Buffer.alloc(maxValueBytes + 1);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
