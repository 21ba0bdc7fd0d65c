import { constants } from 'node:fs';
import { chmod, lchown, mkdir, open, readdir, readlink, symlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { copyBounded } from '../system/copy-bounded.ts';

/**
 * Copies a workspace for trying something in, without what looks like a secret. Links are copied as links and never followed,
 * folders are walked through open handles, and only files, folders and links are copied.
 */
export interface CopyOptions {
  /** Why a file is left out, by its name and the beginning of its content; `undefined`: it is copied. */
  readonly refusal: (name: string, content: string) => string | undefined;
  readonly limits?: CopyLimits | undefined;
}

export interface CopyLimits {
  readonly entries: number;
  readonly bytes: number;
}

export interface Copied {
  readonly files: number;
  readonly bytes: number;
  /** relative paths, with why; those of one folder that is left out as a whole are not listed one by one */
  readonly leftOut: readonly { readonly path: string; readonly why: string }[];
}

const usualLimits: CopyLimits = { entries: 200_000, bytes: 2 * 1024 ** 3 };
/** how much of a file is looked at for secrets */
const examinedBytes = 1024 * 1024;

interface Walk {
  readonly options: CopyOptions;
  readonly limits: CopyLimits;
  readonly leftOut: { path: string; why: string }[];
  entries: number;
  files: number;
  bytes: number;
}

interface Place {
  readonly handle: FileHandle;
  readonly target: string;
  /** relative to the workspace */
  readonly path: string;
}

/** `target` is made. Throws `PATH_INVALID` for a workspace larger than the limits. */
export async function copyWorkspace(source: string, target: string, options: CopyOptions): Promise<Copied> {
  const walk: Walk = { options, limits: options.limits ?? usualLimits, leftOut: [], entries: 0, files: 0, bytes: 0 };
  const handle = await open(source, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await copyFolder(walk, { handle, target, path: '' });
  } finally {
    await handle.close();
  }
  const { files, bytes, leftOut } = walk;
  return { files, bytes, leftOut };
}

async function copyFolder(walk: Walk, place: Place): Promise<void> {
  const stats = await place.handle.stat();
  await mkdir(place.target, { mode: 0o700 });
  const own = `/proc/self/fd/${place.handle.fd}`;
  for (const entry of await readdir(own, { withFileTypes: true })) {
    countEntry(walk);
    const path = place.path === '' ? entry.name : `${place.path}/${entry.name}`;
    const from = `${own}/${entry.name}`;
    const to = join(place.target, entry.name);
    if (entry.name.includes('\u{fffd}')) {
      // What it is called cannot be said in text, so it cannot be looked up either.
      walk.leftOut.push({ path, why: 'its name is not UTF-8' });
    } else if (entry.isDirectory()) {
      // oxlint-disable-next-line no-await-in-loop -- in order: open handles stay few
      await copySubfolder(walk, { from, to, path });
    } else if (entry.isSymbolicLink()) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await symlink(await readlink(from), to);
    } else if (entry.isFile()) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await copyOne(walk, { from, to, path });
    } else {
      walk.leftOut.push({ path, why: 'neither file, folder nor link' });
    }
  }
  await lchown(place.target, stats.uid, stats.gid);
  await chmod(place.target, stats.mode & 0o777);
}

interface Way {
  readonly from: string;
  readonly to: string;
  readonly path: string;
}

async function copySubfolder(walk: Walk, { from, to, path }: Way): Promise<void> {
  const name = path.split('/').at(-1) ?? '';
  if (name === '.git') {
    walk.leftOut.push({ path, why: 'its history and settings may hold secrets' });
    return;
  }
  const handle = await open(from, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await copyFolder(walk, { handle, target: to, path });
  } finally {
    await handle.close();
  }
}

async function copyOne(walk: Walk, { from, to, path }: Way): Promise<void> {
  const name = path.split('/').at(-1) ?? '';
  const file = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    const why = stats.isFile() ? walk.options.refusal(name, await beginning(file)) : 'not a file any more';
    if (why !== undefined) {
      walk.leftOut.push({ path, why });
      return;
    }
    countBytes(walk, stats.size);
    await copyBounded(file, to, stats.size);
    await lchown(to, stats.uid, stats.gid);
    await chmod(to, stats.mode & 0o777);
  } finally {
    await file.close();
  }
}

async function beginning(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(examinedBytes);
  const { bytesRead } = await file.read(buffer, 0, examinedBytes, 0);
  return buffer.toString('latin1', 0, bytesRead);
}

function countEntry(walk: Walk): void {
  walk.entries += 1;
  if (walk.entries > walk.limits.entries) {
    throw tooLarge(`has more than ${walk.limits.entries} entries`);
  }
}

function countBytes(walk: Walk, bytes: number): void {
  walk.files += 1;
  walk.bytes += bytes;
  if (walk.bytes > walk.limits.bytes) {
    throw tooLarge(`holds more than ${Math.round(walk.limits.bytes / 1024 ** 2)} MiB`);
  }
}

function tooLarge(what: string): CasemateError {
  return new CasemateError('PATH_INVALID', `the workspace ${visible(what)}: it is not copied`, {
    hint: 'Work in a smaller folder: give --workspace PATH.',
  });
}
