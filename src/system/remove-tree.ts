import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { chmod, open, readdir, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import { isErrno } from './files.ts';

/**
 * Removes a folder that a sandbox filled: whatever modes it set, however deep it built, and though something may still be
 * writing there. Each name is looked up in the very folder that is held, through its entry in /proc, and no symbolic link is
 * followed: one that takes a folder's place meanwhile leads nowhere (CVE-2022-21658 is what a removal by path does then).
 */
export async function removeTree(path: string): Promise<void> {
  for (let round = 1; ; round += 1) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      await removeEntry(Buffer.from(path), { top: undefined, depth: 0 });
      return;
    } catch (error) {
      if (round > 3 || !['ENOTEMPTY', 'EEXIST', 'EBUSY'].some((code) => isErrno(error, code))) {
        throw error;
      }
      // oxlint-disable-next-line no-await-in-loop -- what came meanwhile goes with the next one
      await pause(100 * round);
    }
  }
}

interface Place {
  /** of the tree; what lies very deep is moved there first, so that handles stay few and no path is long */
  readonly top: FileHandle | undefined;
  readonly depth: number;
}

const mostHeld = 32;
/** unlinked at once: as many as wait for a thread anyway */
const batch = 32;

/** `at`: a path of which all but the last name is ours, or held. */
async function removeEntry(at: Buffer, { top, depth }: Place): Promise<void> {
  const folder = await openFolder(at);
  if (folder === undefined) {
    await unlink(at).catch(passOver('ENOENT'));
    return;
  }
  try {
    if (top !== undefined && depth >= mostHeld) {
      await openUp(folder);
      await rename(at, inFolder(top, Buffer.from(`.removing-${randomBytes(12).toString('hex')}`)));
      return;
    }
    await empty(folder, { top: top ?? folder, depth });
  } finally {
    await folder.close();
  }
  await rmdir(at).catch(passOver('ENOENT'));
}

async function empty(folder: FileHandle, place: Place): Promise<void> {
  let entries: readonly Dirent<Buffer>[] = [];
  do {
    // oxlint-disable-next-line no-await-in-loop -- what lies too deep for its place comes to the top, and goes with a later round
    entries = await entriesOf(folder);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await removeAll(folder, entries, place);
  } while (place.depth === 0 && entries.length > 0);
}

async function removeAll(folder: FileHandle, entries: readonly Dirent<Buffer>[], { top, depth }: Place): Promise<void> {
  const others = entries.filter((entry) => !entry.isDirectory());
  for (let from = 0; from < others.length; from += batch) {
    const part = others.slice(from, from + batch).map(async ({ name }) => unlinkOne(inFolder(folder, name), { top, depth }));
    // oxlint-disable-next-line no-await-in-loop -- a few at once: there may be millions
    const ended = await Promise.allSettled(part);
    const failed = ended.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
  }
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    // oxlint-disable-next-line no-await-in-loop -- one handle a level
    await removeEntry(inFolder(folder, name), { top, depth: depth + 1 });
  }
}

/** A folder may have taken its place since it was listed. */
async function unlinkOne(at: Buffer, { top, depth }: Place): Promise<void> {
  await unlink(at).catch(async (error: unknown) => {
    if (isErrno(error, 'EISDIR')) {
      await removeEntry(at, { top, depth: depth + 1 });
    } else if (!isErrno(error, 'ENOENT')) {
      throw error;
    }
  });
}

/** Names are bytes: a sandbox may choose ones that are not UTF-8. */
async function entriesOf(folder: FileHandle): Promise<readonly Dirent<Buffer>[]> {
  await openUp(folder);
  return await readdir(`/proc/self/fd/${folder.fd}`, { encoding: 'buffer', withFileTypes: true });
}

function inFolder(folder: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder.fd}/`), name]);
}

/** open(2), Linux: a handle that names a file and reads nothing, so that no right to it is needed. */
const O_PATH = 0o10000000;

/** `undefined`: something else is there, or nothing. */
async function openFolder(at: Buffer): Promise<FileHandle | undefined> {
  return await open(at, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch((error: unknown) => {
    if (['ENOTDIR', 'ELOOP', 'ENOENT'].some((code) => isErrno(error, code))) {
      return undefined;
    }
    throw error;
  });
}

/** Gives the owner all rights. fchmod(2) does not take such a handle; its name in /proc leads to the very folder. */
async function openUp(folder: FileHandle): Promise<void> {
  const { mode } = await folder.stat();
  if ((mode & 0o700) !== 0o700) {
    await chmod(`/proc/self/fd/${folder.fd}`, 0o700);
  }
}

function passOver(code: string): (error: unknown) => void {
  return (error) => {
    if (!isErrno(error, code)) {
      throw error;
    }
  };
}
