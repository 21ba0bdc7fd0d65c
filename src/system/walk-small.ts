import { constants, type Dirent } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';

/**
 * Lists a small tree that someone else may be changing, through open handles: it follows no symbolic link and enters no other
 * file system. It gives no answer for a tree that is large or cannot be listed whole; find(1) is for those, because merely
 * starting it takes as long as walking some twenty folders here.
 */
export interface SmallTree {
  /** whether to list what is in it; the path is relative to the root */
  readonly entersFolder: (name: string, path: string) => boolean;
  /** of the deepest entries; those of the root have 1 */
  readonly maxDepth?: number | undefined;
}

export interface TreeEntry {
  /** relative to the root */
  readonly path: string;
  readonly name: string;
  readonly kind: 'folder' | 'file' | 'other';
}

const bounds = { folders: 24, entries: 1000 } as const;

interface Walk extends SmallTree {
  readonly device: bigint;
  readonly found: TreeEntry[];
  folders: number;
}

/** `undefined`: too much, an error, or a name that is not UTF-8. */
export async function walkSmall(root: string, options: SmallTree): Promise<readonly TreeEntry[] | undefined> {
  try {
    const top = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
    const { dev } = await top.stat({ bigint: true }).catch(async (error: unknown) => {
      await top.close();
      throw error;
    });
    const walk: Walk = { ...options, device: dev, found: [], folders: 1 };
    return (await list(walk, top, { path: '', depth: 0 })) ? walk.found : undefined;
  } catch {
    return undefined;
  }
}

interface Place {
  readonly path: string;
  readonly depth: number;
}

/** Closes the handle it was given. `false`: it is no small tree. */
async function list(walk: Walk, folder: FileHandle, place: Place): Promise<boolean> {
  try {
    // Through the handle's own entry in /proc the kernel looks into that very folder, wherever it is now.
    const own = `/proc/self/fd/${folder.fd}`;
    const entries = await readdir(own, { withFileTypes: true });
    if (walk.found.length + entries.length > bounds.entries) {
      return false;
    }
    // At once: each step is a short wait, and a workspace that is used has a dozen folders for protected names alone. Every one
    // has to have ended before this handle is closed, through which they look.
    const taken = await Promise.allSettled(entries.map(async (entry) => take(walk, entry, { own, ...place })));
    return taken.every((one) => one.status === 'fulfilled' && one.value);
  } finally {
    await folder.close();
  }
}

async function take(walk: Walk, entry: Dirent, { own, path: above, depth }: Place & { readonly own: string }): Promise<boolean> {
  const { name } = entry;
  const path = above === '' ? name : `${above}/${name}`;
  const isFolder = entry.isDirectory();
  walk.found.push({ path, name, kind: isFolder ? 'folder' : entry.isFile() ? 'file' : 'other' });
  const isEntered = isFolder && depth + 1 < (walk.maxDepth ?? Infinity) && walk.entersFolder(name, path);
  return !name.includes('\u{fffd}') && (!isEntered || (await enter(walk, `${own}/${name}`, { path, depth: depth + 1 })));
}

async function enter(walk: Walk, path: string, place: Place): Promise<boolean> {
  walk.folders += 1;
  // Before it is opened: of so many handles at most there is one each.
  if (walk.folders > bounds.folders) {
    return false;
  }
  const next = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const { dev } = await next.stat({ bigint: true }).catch(async (error: unknown) => {
    await next.close();
    throw error;
  });
  if (dev !== walk.device) {
    await next.close();
    return true;
  }
  return await list(walk, next, place);
}
