import { closeSync, constants, fstatSync, openSync, type Dirent } from 'node:fs';

import { listFolder } from './list-folder.ts';

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

/** `undefined`: too much, an error, or a name that is not UTF-8. In place: so few folders take less time than to wait for each. */
export function walkSmall(root: string, options: SmallTree): readonly TreeEntry[] | undefined {
  try {
    const top = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const { dev } = fstatSync(top, { bigint: true });
      const walk: Walk = { ...options, device: dev, found: [], folders: 1 };
      return list(walk, top, { path: '', depth: 0 }) ? walk.found : undefined;
    } finally {
      closeSync(top);
    }
  } catch {
    return undefined;
  }
}

interface Place {
  readonly path: string;
  readonly depth: number;
}

/** `false`: it is no small tree. */
function list(walk: Walk, folder: number, place: Place): boolean {
  // Through the handle's own entry in /proc the kernel looks into that very folder, wherever it is now.
  const own = `/proc/self/fd/${folder}`;
  const { entries, isWhole } = listFolder(own, bounds.entries - walk.found.length);
  return isWhole && entries.every((entry) => take(walk, entry, { own, ...place }));
}

function take(walk: Walk, entry: Dirent, { own, path: above, depth }: Place & { readonly own: string }): boolean {
  const { name } = entry;
  const path = above === '' ? name : `${above}/${name}`;
  const isFolder = entry.isDirectory();
  walk.found.push({ path, name, kind: isFolder ? 'folder' : entry.isFile() ? 'file' : 'other' });
  const isEntered = isFolder && depth + 1 < (walk.maxDepth ?? Infinity) && walk.entersFolder(name, path);
  return !name.includes('\u{fffd}') && (!isEntered || enter(walk, `${own}/${name}`, { path, depth: depth + 1 }));
}

function enter(walk: Walk, path: string, place: Place): boolean {
  walk.folders += 1;
  if (walk.folders > bounds.folders) {
    return false;
  }
  const next = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return fstatSync(next, { bigint: true }).dev === walk.device ? list(walk, next, place) : true;
  } finally {
    closeSync(next);
  }
}
