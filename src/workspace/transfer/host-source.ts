import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { inFolder } from '../../system/descend.ts';
import { isErrno } from '../../system/files.ts';
import type { Entry, TransferLimits } from './entries.ts';
import { fault, openFolder } from './held-folder.ts';
import { tooMuch } from './frames.ts';

/** Sends files of the host into a sandbox, read through held handles: what was judged is what is sent. */
export interface HostPlace {
  /** real and absolute */
  readonly root: string;
  /** plain names below it; at least one */
  readonly parts: readonly string[];
}

export interface SourceOptions {
  readonly limits: TransferLimits;
  /** names of sockets that hold a protected place free while a sandbox runs: they are passed over */
  readonly placeholders: ReadonlySet<string>;
  /** symbolic links below what is sent are passed over instead of refused; never followed */
  readonly leavesOutLinks?: boolean | undefined;
}

/** Throws `PATH_INVALID` for a link of either kind, a device, a pipe or a socket, wherever below it lies. */
export async function* hostEntries({ root, parts }: HostPlace, options: SourceOptions): AsyncGenerator<Entry> {
  const folder = await openFolder(root, parts.slice(0, -1));
  try {
    const walk = { ...options, files: 0, bytes: 0, top: `${root === '/' ? '' : root}/${parts.join('/')}` };
    yield* entriesOf(walk, { folder, name: parts.at(-1) ?? '', path: '' });
  } finally {
    await folder.close();
  }
}

interface Walk extends SourceOptions {
  /** what is sent, for errors */
  readonly top: string;
  files: number;
  bytes: number;
}

interface Place {
  readonly folder: FileHandle;
  readonly name: string;
  /** relative to what is sent */
  readonly path: string;
}

const maxDepth = 64;

async function* entriesOf(walk: Walk, place: Place): AsyncGenerator<Entry> {
  const { folder, name, path } = place;
  const shown = path === '' ? walk.top : `${walk.top}/${path}`;
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(inFolder(folder, name), flags).catch((error: unknown) => {
    // A socket cannot be opened.
    if (isErrno(error, 'ENXIO') && walk.placeholders.has(name)) {
      return undefined;
    }
    if (isErrno(error, 'ELOOP') && walk.leavesOutLinks === true && path !== '') {
      return undefined;
    }
    throw fault(shown, error);
  });
  if (handle === undefined) {
    return;
  }
  try {
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      if (path.split('/').length > maxDepth) {
        throw refused(shown, 'is too deep');
      }
      yield { kind: 'folder', path };
      for (const inner of (await readdir(inFolder(handle, '.'))).toSorted()) {
        yield* entriesOf(walk, { folder: handle, name: inner, path: path === '' ? inner : `${path}/${inner}` });
      }
      return;
    }
    if (!stats.isFile()) {
      throw refused(shown, 'is neither a file nor a folder');
    }
    if (stats.nlink > 1) {
      throw refused(shown, 'is a hard link');
    }
    walk.files += 1;
    walk.bytes += stats.size;
    if (walk.files > walk.limits.files || walk.bytes > walk.limits.bytes) {
      throw tooMuch(walk.limits);
    }
    yield fileEntry(handle, { path, size: stats.size, executable: (stats.mode & 0o100) !== 0, shown });
  } finally {
    await handle.close();
  }
}

function fileEntry(
  handle: FileHandle,
  { path, size, executable, shown }: { path: string; size: number; executable: boolean; shown: string },
): Entry {
  const hash = createHash('sha256');
  async function* content(): AsyncGenerator<Buffer> {
    let at = 0;
    while (at < size) {
      const buffer = Buffer.alloc(Math.min(65_536, size - at));
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) {
        throw refused(shown, 'became shorter while it was read');
      }
      at += bytesRead;
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      yield piece;
    }
  }
  return { kind: 'file', path, executable, size, content: content(), sha256: async () => hash.digest('hex') };
}

function refused(path: string, why: string): CasemateError {
  return new CasemateError('PATH_INVALID', `${visible(path)} ${why}`, { hint: 'Only plain files and folders are transferred.' });
}
