import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import { dataFile } from '../../system/data-file.ts';
import { run } from '../../system/process.ts';

/** A folder that a sandbox could write, as the host sees it. No symbolic link is followed, and only regular files are opened. */
export interface Entry {
  /** relative to the folder; latin1 of what is on disk, so that odd names stay what they are */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link' | 'pipe' | 'socket' | 'device';
  readonly uid: number;
  readonly gid: number;
  /** permission and set-id bits */
  readonly mode: number;
  readonly inode: number;
  readonly links: number;
  readonly size: number;
}

/** At most so many: what a sandbox left must not keep the host busy. */
const greatestCount = 5000;
const greatestDepth = 12;

export async function entriesBelow(folder: string): Promise<readonly Entry[]> {
  const found: Entry[] = [];
  await walk(Buffer.from(folder), '', found);
  return found;
}

async function walk(folder: Buffer, path: string, found: Entry[]): Promise<void> {
  const names = await readdir(folder, { encoding: 'buffer' }).catch(() => []);
  for (const name of names.toSorted((a, b) => Buffer.compare(a, b))) {
    if (found.length >= greatestCount) {
      return;
    }
    const full = Buffer.concat([folder, Buffer.from('/'), name]);
    const relative = path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`;
    // oxlint-disable-next-line no-await-in-loop -- one after the other, bounded
    const entry = await entryAt(full, relative);
    if (entry !== undefined) {
      found.push(entry);
    }
    if (entry?.kind === 'folder' && relative.split('/').length < greatestDepth) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await walk(full, relative, found);
    }
  }
}

/** `undefined`: nothing is there. */
async function entryAt(path: Buffer | string, relative: string): Promise<Entry | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) {
    return undefined;
  }
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'folder'
      : stats.isSymbolicLink()
        ? 'link'
        : stats.isFIFO()
          ? 'pipe'
          : stats.isSocket()
            ? 'socket'
            : 'device';
  const { uid, gid, mode, ino, nlink, size } = stats;
  return { path: relative, kind, uid, gid, mode: mode & 0o7777, inode: ino, links: nlink, size };
}

/** One line for each thing at or below these names that says what it is and holds; equal lines, nothing changed. */
export async function fingerprint(folder: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const lines = new Map<string, string>();
  for (const name of names) {
    // oxlint-disable-next-line no-await-in-loop -- small and bounded
    const entries = await entriesAt(folder, name);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const told = await Promise.all(entries.map(async (entry) => [entry.path, await lineOf(folder, entry)] as const));
    told.forEach(([path, line]) => lines.set(path, line));
    if (entries.length === 0) {
      lines.set(name, 'absent');
    }
  }
  return lines;
}

async function entriesAt(folder: string, name: string): Promise<readonly Entry[]> {
  const top = await entryAt(join(folder, name), name);
  const below = top?.kind === 'folder' ? await entriesBelow(join(folder, name)) : [];
  return top === undefined ? [] : [top, ...below.map((entry) => ({ ...entry, path: `${name}/${entry.path}` }))];
}

async function lineOf(folder: string, entry: Entry): Promise<string> {
  const { kind, uid, gid, mode, inode, links, size, path } = entry;
  const facts = `${kind} ${uid}:${gid} ${mode.toString(8)} inode ${inode}`;
  const full = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, 'latin1')]);
  if (kind === 'link') {
    return `${facts} -> ${await readlink(full).catch(() => '?')}`;
  }
  return kind === 'file' ? `${facts} links ${links} ${size} bytes ${await hashOf(full)}` : facts;
}

async function hashOf(path: Buffer): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
  try {
    const buffer = Buffer.alloc(1024 * 1024);
    const { bytesRead } = (await file?.read(buffer, 0, buffer.length, 0)) ?? { bytesRead: 0 };
    return createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex').slice(0, 16);
  } finally {
    await file?.close();
  }
}

/** Paths whose lines differ, with what was and what is. */
export function changes(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  return paths
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => `${path}: ${before.get(path) ?? 'absent'}, then ${after.get(path) ?? 'absent'}`);
}

export interface Attribute {
  readonly path: string;
  readonly name: string;
  /** in hex; empty where it cannot be read */
  readonly value: string;
}

/** Extended attributes of each path, by the kernel (llistxattr(2)); Node has no call for them. */
export async function attributesOf(folder: string, paths: readonly string[]): Promise<readonly Attribute[]> {
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const { stdout } = await run('perl', [dataFile('proof/outside/attributes.pl'), process.arch], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin' },
    input,
    timeoutMs: 10_000,
  });
  return stdout
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const [path, name, value = ''] = line.split('\0');
      return path === undefined || name === undefined ? [] : [{ path, name, value }];
    });
}
