import { lstatSync, type Stats } from 'node:fs';

/**
 * What is at a path now, be it a link; `undefined` for what is not there or cannot be looked at. In place and not through the
 * pool of threads: for the few looks at somebody's files that every start and every end of a command waits for.
 */
export function statsAt(path: string | Buffer): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
