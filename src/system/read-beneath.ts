import { constants, type Stats } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';

import { inFolder } from './descend.ts';
import { isErrno } from './files.ts';

/**
 * Reads files below a folder, component by component through open handles: it follows no symbolic link, reads only regular
 * files, and bounds its work. It reports by name what it did not read.
 */
export type Found =
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer; readonly executable: boolean }
  | { readonly kind: 'refused'; readonly path: string; readonly why: string };

export interface ReadLimits {
  readonly maxFiles: number;
  readonly maxFileBytes: number;
  readonly maxBytes: number;
  readonly maxDepth: number;
}

interface Walk {
  readonly limits: ReadLimits;
  readonly found: Found[];
  files: number;
  bytes: number;
}

/** `path` is relative to `root`, without `..`; a path that is not there gives nothing. */
export async function readBeneath(root: string, path: string, limits: ReadLimits): Promise<readonly Found[]> {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new RangeError(`"${path}" is not a plain relative path`);
  }
  const walk: Walk = { limits, found: [], files: 0, bytes: 0 };
  const top = await openFollowing(root);
  if (top !== undefined) {
    await descend(walk, { handle: top, path: '' }, parts);
  }
  return walk.found;
}

interface Place {
  readonly handle: FileHandle;
  /** relative to the root */
  readonly path: string;
}

/** The root itself is the caller's word and may be reached through links. */
async function openFollowing(root: string): Promise<FileHandle | undefined> {
  try {
    return await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}

/** Goes down the given names, then takes everything below the last. Closes the handle it was given. */
async function descend(walk: Walk, place: Place, names: readonly string[]): Promise<void> {
  try {
    const [name, ...rest] = names;
    if (name === undefined) {
      await take(walk, place);
      return;
    }
    const next = await openEntry(walk, place, name);
    if (next !== undefined) {
      await descend(walk, next, rest);
    }
  } finally {
    await place.handle.close();
  }
}

async function openEntry(walk: Walk, place: Place, name: string): Promise<Place | undefined> {
  const path = place.path === '' ? name : `${place.path}/${name}`;
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    return { handle: await open(inFolder(place.handle, name), flags), path };
  } catch (error) {
    if (isErrno(error, 'ELOOP')) {
      walk.found.push({ kind: 'refused', path, why: 'a symbolic link' });
    } else if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) {
      walk.found.push({ kind: 'refused', path, why: 'cannot be opened' });
    }
    return undefined;
  }
}

async function take(walk: Walk, place: Place): Promise<void> {
  const stats = await place.handle.stat();
  if (stats.isDirectory()) {
    await takeFolder(walk, place);
  } else if (!stats.isFile()) {
    refuse(walk, place, 'neither a file nor a folder');
  } else if (stats.size > walk.limits.maxFileBytes) {
    refuse(walk, place, `longer than ${walk.limits.maxFileBytes} bytes`);
  } else {
    await takeFile(walk, place, stats);
  }
}

async function takeFolder(walk: Walk, place: Place): Promise<void> {
  if (place.path.split('/').length > walk.limits.maxDepth) {
    refuse(walk, place, 'too deep');
    return;
  }
  const names = await readdir(`/proc/self/fd/${place.handle.fd}`);
  for (const name of names.toSorted()) {
    if (walk.files >= walk.limits.maxFiles) {
      refuse(walk, place, `more than ${walk.limits.maxFiles} files`);
      return;
    }
    // oxlint-disable-next-line no-await-in-loop -- one open handle a level, whatever the folder holds
    const entry = await openEntry(walk, place, name);
    if (entry !== undefined) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await descend(walk, entry, []);
    }
  }
}

async function takeFile(walk: Walk, place: Place, stats: Stats): Promise<void> {
  const content = await contentOf(place.handle, stats.size, walk.limits.maxFileBytes);
  if (content.length > walk.limits.maxFileBytes) {
    refuse(walk, place, `longer than ${walk.limits.maxFileBytes} bytes`);
  } else if (walk.bytes + content.length > walk.limits.maxBytes) {
    refuse(walk, place, `beyond ${walk.limits.maxBytes} bytes in all`);
  } else {
    walk.files += 1;
    walk.bytes += content.length;
    walk.found.push({ kind: 'file', path: place.path, content, executable: (stats.mode & 0o100) !== 0 });
  }
}

/** In as much memory as it is long, and one byte more: who fills that has grown meanwhile, and is read anew up to the bound. */
async function contentOf(handle: FileHandle, size: number, most: number): Promise<Buffer> {
  for (let length = Math.min(size, most) + 1; ; length = most + 1) {
    // oxlint-disable-next-line no-await-in-loop -- twice at most
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, 0);
    if (bytesRead < length || length > most) {
      return buffer.subarray(0, bytesRead);
    }
  }
}

function refuse(walk: Walk, place: Place, why: string): void {
  walk.found.push({ kind: 'refused', path: place.path, why });
}
