import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { hookNames } from './git-settings.ts';

/**
 * Plans the mounts that keep protected paths of a workspace as they are. An existing path is mounted onto itself read-only and
 * its parents onto themselves, so that none of them can be renamed; a missing one gets a placeholder that takes its name. This
 * only plans: `stage.pl` opens each path again, beneath the workspace and through no symbolic link.
 */

export interface Protection {
  /** relative to the workspace */
  readonly path: string;
  readonly kind: 'folder' | 'file';
  /** a parent: pinned in its place, its content free */
  readonly writable: boolean;
  readonly placeholder: Placeholder | undefined;
}

/**
 * What takes the name of an absent path on disk: an empty folder; a socket, which git and readers pass over; or, where git
 * would not, a file that says what its absence says: one line of `.git/commondir`, none of `objects/info/alternates`.
 */
export type Placeholder = 'folder' | 'socket' | 'commondir' | 'empty';

/** What is at a path; `other`: a device, a FIFO. */
export type Entry = 'folder' | 'file' | 'socket' | 'link' | 'other' | 'absent';

export type Look = (path: string) => Entry;

/** Parents first, each path once; a path below a read-only folder is left out. */
export function planProtection(paths: readonly string[], look: Look): readonly Protection[] {
  const found = new Map<string, Protection>();
  const lookOnce = once(look);
  for (const protection of paths.flatMap((path) => protectionsFor(path, lookOnce))) {
    const known = found.get(protection.path);
    if (known === undefined || (known.writable && !protection.writable)) {
      found.set(protection.path, protection);
    }
  }
  const sealed = new Set(
    [...found.values()].filter(({ writable, kind }) => !writable && kind === 'folder').map(({ path }) => path),
  );
  return [...found.values()]
    .filter(({ path }) => !parentsOf(path).some((parent) => sealed.has(parent)))
    .toSorted((a, b) => depth(a.path) - depth(b.path) || (a.path < b.path ? -1 : 1));
}

/** Many paths share their parents. */
function once(look: Look): Look {
  const seen = new Map<string, Entry>();
  return (path) => {
    const entry = seen.get(path) ?? look(path);
    seen.set(path, entry);
    return entry;
  };
}

function protectionsFor(path: string, look: Look): readonly Protection[] {
  const names = path.split('/');
  const result: Protection[] = [];
  for (const [index] of names.entries()) {
    const prefix = names.slice(0, index + 1).join('/');
    const isLast = index === names.length - 1;
    // A child is looked at only below a parent that is a folder.
    const entry = look(prefix);
    if (entry === 'folder' && !isLast) {
      result.push({ path: prefix, kind: 'folder', writable: true, placeholder: undefined });
    } else {
      return [...result, seal(prefix, entry, isLast)];
    }
  }
  return result;
}

function seal(path: string, entry: Entry, isLast: boolean): Protection {
  if (entry === 'link' || entry === 'other') {
    throw refused(path, entry === 'link' ? 'is a symbolic link' : 'is neither a file nor a folder');
  }
  if (entry === 'folder' || entry === 'file') {
    return { path, kind: entry, writable: false, placeholder: undefined };
  }
  // A socket is a placeholder that was left, or another sandbox's.
  const placeholder = entry === 'socket' ? 'socket' : isLast ? placeholderFor(path) : 'folder';
  return { path, kind: placeholder === 'folder' ? 'folder' : 'file', writable: false, placeholder };
}

function refused(path: string, why: string): CasemateError {
  return new CasemateError('PATH_INVALID', `the workspace's ${visible(path)} ${why}, so it cannot be protected`, {
    hint: 'Replace it by a real file or folder, or use the workspace in another mode.',
  });
}

function placeholderFor(path: string): Placeholder {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (path === '.git/commondir' || path.endsWith('/.git/commondir')) {
    return 'commondir';
  }
  if (path.endsWith('objects/info/alternates')) {
    return 'empty';
  }
  return name === 'config' || hookNames.includes(path) || /.\.[a-z]+$/.test(name) || /^\.[a-z]+rc$/.test(name)
    ? 'socket'
    : 'folder';
}

function parentsOf(path: string): readonly string[] {
  const names = path.split('/');
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join('/'));
}

function depth(path: string): number {
  return path.split('/').length;
}

/** Looks at paths below `workspace` on disk, in place: each start looks at some thirty. */
export function lookBelow(workspace: string): Look {
  return (path) => {
    try {
      const stats = lstatSync(join(workspace, path), { throwIfNoEntry: false });
      return stats === undefined ? 'absent' : entryOf(stats);
    } catch (error) {
      throw new CasemateError('PATH_INVALID', `cannot look at ${visible(join(workspace, path))}`, { cause: error });
    }
  };
}

function entryOf(stats: Stats): Entry {
  if (stats.isDirectory()) {
    return 'folder';
  }
  if (stats.isFile()) {
    return 'file';
  }
  return stats.isSymbolicLink() ? 'link' : stats.isSocket() ? 'socket' : 'other';
}
