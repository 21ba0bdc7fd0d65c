import { constants } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';

import { inFolder } from './descend.ts';

/**
 * Finds files by name below a folder that someone else may be changing. It works through open handles: it follows no symbolic
 * link, reads only regular files, and bounds its work. It leaves out what it cannot read.
 */
export interface FindOptions {
  readonly wantsFile: (name: string) => boolean;
  readonly entersFolder: (name: string) => boolean;
  /** folders below the root, one in the other */
  readonly maxDepth: number;
  readonly maxFolders: number;
  readonly maxFiles: number;
  /** a longer file is left out */
  readonly maxFileBytes: number;
}

export interface FoundFile {
  /** relative to the root */
  readonly path: string;
  readonly content: Buffer;
}

interface Search extends FindOptions {
  readonly found: FoundFile[];
  folders: number;
}

export async function findBeneath(root: string, options: FindOptions): Promise<readonly FoundFile[]> {
  const search: Search = { ...options, found: [], folders: 0 };
  const top = await open(root, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
  if (top !== undefined) {
    await look(search, top, { path: '', depth: 0 });
  }
  return search.found;
}

interface Place {
  readonly path: string;
  readonly depth: number;
}

/** Closes the handle it was given. */
async function look(search: Search, folder: FileHandle, { path, depth }: Place): Promise<void> {
  search.folders += 1;
  try {
    const entries = await readdir(`/proc/self/fd/${folder.fd}`, { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const below = { path: path === '' ? entry.name : `${path}/${entry.name}`, depth: depth + 1 };
      if (entry.isFile() && search.wantsFile(entry.name) && search.found.length < search.maxFiles) {
        // oxlint-disable-next-line no-await-in-loop -- one open handle a level, whatever the folder holds
        await take(search, folder, entry.name, below.path);
      } else if (
        entry.isDirectory() &&
        search.entersFolder(entry.name) &&
        depth < search.maxDepth &&
        search.folders < search.maxFolders
      ) {
        // oxlint-disable-next-line no-await-in-loop -- as above
        const next = await openIn(folder, entry.name, constants.O_DIRECTORY);
        // oxlint-disable-next-line no-await-in-loop -- as above
        await (next === undefined ? undefined : look(search, next, below));
      }
    }
  } catch {
    // A folder that cannot be listed is left out.
  } finally {
    await folder.close();
  }
}

async function take(search: Search, folder: FileHandle, name: string, path: string): Promise<void> {
  const file = await openIn(folder, name, constants.O_NONBLOCK);
  if (file === undefined) {
    return;
  }
  try {
    const stats = await file.stat();
    if (stats.isFile() && stats.size <= search.maxFileBytes) {
      const buffer = Buffer.alloc(Math.min(stats.size, search.maxFileBytes));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      search.found.push({ path, content: buffer.subarray(0, bytesRead) });
    }
  } catch {
    // It may have gone meanwhile.
  } finally {
    await file.close();
  }
}

async function openIn(folder: FileHandle, name: string, flags: number): Promise<FileHandle | undefined> {
  return await open(inFolder(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | flags).catch(() => undefined);
}
