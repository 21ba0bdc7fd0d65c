import { createHash } from 'node:crypto';

import { isErrno } from '../../system/files.ts';
import { hashFile } from './hash-file.ts';
import type { ImageTools } from './image-tools.ts';

/**
 * The canonical list of all files of an image, and its digest. Ids are those inside the image, so root and others get the same
 * digest.
 */

export interface ManifestEntry {
  /** relative to the root, empty for the root itself; one character a byte (latin1) */
  readonly path: string;
  /** as `find -printf %y`: `f` file, `d` folder, `l` link, `b` `c` `p` `s` special */
  readonly type: string;
  /** octal digits */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** bytes of a file, else 0 */
  readonly size: number;
  /** hex, of a file's content, else empty */
  readonly sha256: string;
  /** target of a link, else empty */
  readonly link: string;
}

/** One text for one set of entries, whatever their order: fields end in NUL, entries in a line feed. */
export function canonicalManifest(entries: readonly ManifestEntry[]): string {
  return entries
    .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    .map(
      ({ path, type, mode, uid, gid, size, sha256, link }) =>
        `${[path, type, mode, uid, gid, size, sha256, link].join('\0')}\0\n`,
    )
    .join('');
}

export function manifestDigest(manifest: string): string {
  return `sha256:${createHash('sha256').update(manifest, 'latin1').digest('hex')}`;
}

/** Paths that one manifest has and the other has not, or not the same way; at most `limit`. */
export function differingPaths(expected: string, actual: string, limit: number): readonly string[] {
  const lines = (text: string): readonly string[] => text.split('\0\n');
  const [before, after] = [new Set(lines(expected)), new Set(lines(actual))];
  const changed = [...lines(expected).filter((line) => !after.has(line)), ...lines(actual).filter((line) => !before.has(line))];
  const paths = new Set(changed.map((line) => `/${Buffer.from(line.split('\0')[0] ?? '', 'latin1').toString('utf8')}`));
  return [...paths].slice(0, limit);
}

const fields = ['%P', '%y', '%m', '%U', '%G', '%s', '%l'] as const;

/** All entries of the root file system at `rootfs`, unhashed: `sha256` is empty. */
export async function listEntries(rootfs: string, tools: ImageTools): Promise<readonly ManifestEntry[]> {
  const found = await tools.run('find', [rootfs, '-xdev', '-printf', fields.map((field) => `${field}\\0`).join('')]);
  const values = found.stdout.toString('latin1').split('\0');
  const entries: ManifestEntry[] = [];
  for (let start = 0; start + fields.length < values.length; start += fields.length) {
    const [path = '', type = '', mode = '', uid, gid, size, link = ''] = values.slice(start, start + fields.length);
    entries.push({
      path,
      type,
      mode,
      uid: tools.imageId(Number(uid)),
      gid: tools.imageId(Number(gid)),
      size: type === 'f' ? Number(size) : 0,
      sha256: '',
      link,
    });
  }
  return entries;
}

/** `listEntries` with the hash of every file. Reads everything: about a second for 300 MB. */
export async function readManifest(rootfs: string, tools: ImageTools): Promise<readonly ManifestEntry[]> {
  const entries = await listEntries(rootfs, tools);
  const hashes = new Map<string, string>();
  const closed: string[] = [];
  const queue = entries.filter((entry) => entry.type === 'f').values();
  const worker = async (): Promise<void> => {
    for (const { path } of queue) {
      // oxlint-disable-next-line no-await-in-loop -- as many at once as there are workers
      const hash = await hashIfReadable(Buffer.from(`${Buffer.from(rootfs).toString('latin1')}/${path}`, 'latin1'));
      if (hash === undefined) {
        closed.push(path);
      } else {
        hashes.set(path, hash);
      }
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  for (const [path, hash] of await hashClosed(closed, rootfs, tools)) {
    hashes.set(path, hash);
  }
  return entries.map((entry) => (entry.type === 'f' ? { ...entry, sha256: hashes.get(entry.path) ?? '' } : entry));
}

async function hashIfReadable(path: Buffer): Promise<string | undefined> {
  try {
    return (await hashFile(path, 'sha256')).toString('hex');
  } catch (error) {
    if (isErrno(error, 'EACCES')) {
      return undefined;
    }
    throw error;
  }
}

/** Files such as `/etc/shadow`, which the caller may read only through the namespace of the image's ids. */
async function hashClosed(
  paths: readonly string[],
  rootfs: string,
  tools: ImageTools,
): Promise<readonly (readonly [string, string])[]> {
  if (paths.length === 0) {
    return [];
  }
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const sums = await tools.run('xargs', ['-0', 'sha256sum', '--zero', '--'], { cwd: rootfs, input });
  const lines = sums.stdout
    .toString('latin1')
    .split('\0')
    .filter((line) => line !== '');
  return lines.map((line) => [line.slice(66), line.slice(0, 64)] as const);
}
