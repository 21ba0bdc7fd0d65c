import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { readTar, tarHeader, tarPadding, type TarEntry } from '../../base/tar.ts';
import { visible } from '../../base/text.ts';
import { malformed, notOffered } from '../refusal.ts';

/**
 * Reads the build context, an archive of the client's, without unpacking it here. Its entries are checked one by one and written
 * again, below `c/`, to a file of ours: files, folders and links that stay within, without owners and set-id bits.
 */

export interface Context {
  /** of the file that a build is described in */
  readonly dockerfile: string;
  /** of what came, under names of their own */
  readonly entries: number;
  /** whether a file or folder of this name came, without a slash at the end, or something in it */
  readonly has: (name: string) => boolean;
}

export const contextLimits = { bytes: 1024 ** 3, entries: 100_000, namesBytes: 32 * 1024 ** 2, dockerfile: 256 * 1024 };

/** `file` is new and ours. Throws a refusal. */
export async function readContext(source: Readable, file: string, dockerfile: string, limits = contextLimits): Promise<Context> {
  const wanted = cleanName(dockerfile);
  const out = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  const write = async (bytes: Uint8Array): Promise<void> => {
    if (!out.write(bytes)) {
      await once(out, 'drain');
    }
  };
  const accept = counted(limits);
  const names: string[] = [];
  let text: string | undefined;
  try {
    for await (const entry of entriesOf(source)) {
      const name = cleanName(entry.name);
      accept(entry, name);
      if (name !== '') {
        names.push(name);
        const read = await copyEntry(entry, name, { write, most: name === wanted ? limits.dockerfile : undefined });
        text = read ?? text;
      }
    }
  } catch (error) {
    throw error instanceof RangeError ? malformed(`what comes with a build is no archive: ${error.message}`) : error;
  } finally {
    out.end();
    await once(out, 'close');
  }
  if (text === undefined) {
    throw malformed(`Cannot locate specified Dockerfile: ${visible(dockerfile).slice(0, 200)}`);
  }
  return { dockerfile: text, ...found(names) };
}

/** In order of their code units, so that what begins with a name and a slash stands in one place. */
function found(names: readonly string[]): Pick<Context, 'entries' | 'has'> {
  const ordered = [...new Set(names)].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const firstFrom = (name: string): string | undefined => {
    let [low, high] = [0, ordered.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      [low, high] = (ordered[middle] ?? '') < name ? [middle + 1, high] : [low, middle];
    }
    return ordered[low];
  };
  return {
    entries: ordered.length,
    has: (name) => firstFrom(name) === name || firstFrom(`${name}/`)?.startsWith(`${name}/`) === true,
  };
}

/** Throws for what is too much. Each entry counts, also one of a name that was there before: each is written. */
function counted(limits: typeof contextLimits): (entry: TarEntry, name: string) => void {
  let [size, count, namesBytes] = [0, 0, 0];
  return (entry, name) => {
    size += entry.size;
    count += 1;
    namesBytes += name.length + (entry.kind === 'link' ? entry.target.length : 0);
    if (size > limits.bytes || count > limits.entries || namesBytes > limits.namesBytes) {
      throw notOffered('limits', 'what comes with a build is too much: at most 1 GiB in 100,000 files, and 32 MiB of names');
    }
  };
}

async function copyEntry(
  entry: TarEntry,
  name: string,
  { write, most }: { readonly write: (bytes: Uint8Array) => Promise<void>; readonly most: number | undefined },
): Promise<string | undefined> {
  const { kind, mode, size, target, timeS } = entry;
  if (kind === 'other') {
    throw notOffered('confinement', `${visible(name)} is neither a file nor a folder nor a symbolic link`);
  }
  if (kind === 'link' && leaves(name, target)) {
    throw notOffered('confinement', `the link ${visible(name)} leads out of what comes with the build`);
  }
  if (kind !== 'file') {
    await write(
      tarHeader({
        name: `c/${name}${kind === 'folder' ? '/' : ''}`,
        kind,
        mode: mode & 0o777,
        size: 0,
        target: kind === 'link' ? target : '',
        timeS,
      }),
    );
    return undefined;
  }
  if (most !== undefined && size > most) {
    throw malformed('the Dockerfile is too long');
  }
  await write(tarHeader({ name: `c/${name}`, kind, mode: mode & 0o777, size, timeS }));
  const pieces: Buffer[] = [];
  for await (const piece of entry.content()) {
    await write(piece);
    if (most !== undefined) {
      pieces.push(piece);
    }
  }
  await write(tarPadding(size));
  return most !== undefined ? Buffer.concat(pieces).toString('utf8') : undefined;
}

/** Relative, without what leads up. Empty: the top itself. */
function cleanName(name: string): string {
  const clean = posix.normalize(name).replace(/^(?:\.?\/)+|\/+$/g, '');
  if (name.startsWith('/') || name.includes('\0') || name.length > 4096 || clean === '..' || clean.startsWith('../')) {
    throw notOffered('confinement', `${visible(name).slice(0, 200)} lies outside of what comes with the build`);
  }
  return clean === '.' ? '' : clean;
}

/** An absolute one leads nowhere on the host: it is looked up in the image, if at all. */
function leaves(name: string, target: string): boolean {
  const end = posix.normalize(posix.join(posix.dirname(name), target));
  return target.includes('\0') || target.length > 4096 || (!target.startsWith('/') && (end === '..' || end.startsWith('../')));
}

/** Clients send the archive as it is, or packed with gzip. */
async function* entriesOf(source: Readable): AsyncGenerator<TarEntry> {
  const first = await firstPiece(source);
  const isPacked = first[0] === 0x1f && first[1] === 0x8b;
  const all = withFirst(first, source);
  if (!isPacked) {
    yield* readTar(all);
    return;
  }
  const unpacked = createGunzip();
  feed(all, unpacked).catch(
    (error: unknown) => void unpacked.destroy(error instanceof Error ? error : new RangeError('cut off')),
  );
  yield* readTar(unpacked);
}

async function feed(from: AsyncIterable<Buffer>, to: NodeJS.WritableStream): Promise<void> {
  for await (const piece of from) {
    if (!to.write(piece)) {
      await once(to, 'drain');
    }
  }
  to.end();
}

async function firstPiece(source: Readable): Promise<Buffer> {
  for await (const piece of source.iterator({ destroyOnReturn: false })) {
    return Buffer.from(piece);
  }
  return Buffer.alloc(0);
}

async function* withFirst(first: Buffer, rest: Readable): AsyncGenerator<Buffer> {
  yield first;
  for await (const piece of rest.iterator({ destroyOnReturn: false })) {
    yield Buffer.from(piece);
  }
}
