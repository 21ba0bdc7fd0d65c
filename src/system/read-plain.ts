import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

import { isErrno } from './files.ts';

/**
 * Reads one small file of a folder in place: component by component through open handles, past no symbolic link, and nothing but
 * a plain file. For files that a sandbox may have written, where several are read before something else can begin.
 */
export type Plain = Buffer | 'absent' | 'longer';

/** `path` is relative to `root`, which is the caller's word and may be reached through links. `absent`: no plain file is there. */
export function readPlain(root: string, path: string, most: number): Plain {
  let held = openOrNothing(root, constants.O_DIRECTORY);
  for (const name of path.split('/')) {
    if (held === undefined || name === '' || name === '.' || name === '..') {
      closeHeld(held);
      return 'absent';
    }
    // Through the handle's own entry in /proc the kernel looks the name up in that very folder, wherever it is now.
    const next = openOrNothing(`/proc/self/fd/${held}/${name}`, constants.O_NOFOLLOW | constants.O_NONBLOCK);
    closeHeld(held);
    held = next;
  }
  try {
    return held === undefined ? 'absent' : contentOf(held, most);
  } finally {
    closeHeld(held);
  }
}

/** Of a file that is open: as long as it is now. */
export function contentOf(held: number, most: number): Plain {
  const stats = fstatSync(held);
  if (!stats.isFile()) {
    return 'absent';
  }
  if (stats.size > most) {
    return 'longer';
  }
  // A byte more than it is long: who fills that has grown meanwhile, and is read anew up to the bound.
  for (let length = stats.size + 1; ; length = most + 1) {
    const buffer = Buffer.allocUnsafe(length);
    const bytes = readSync(held, buffer, 0, length, 0);
    if (bytes > most) {
      return 'longer';
    }
    if (bytes < length) {
      return buffer.subarray(0, bytes);
    }
  }
}

/** `undefined` for what is not there, or is none of ours to read. */
export function openOrNothing(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (unopened.some((code) => isErrno(error, code))) {
      return undefined;
    }
    throw error;
  }
}

const unopened = ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENXIO', 'EPERM', 'ENAMETOOLONG'];

export function closeHeld(held: number | undefined): void {
  if (held !== undefined) {
    closeSync(held);
  }
}
