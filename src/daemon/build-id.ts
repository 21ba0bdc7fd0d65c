import { statSync } from 'node:fs';

import { version } from '../system/version.ts';

/**
 * Which build this is, by its version and its program (default: the one that runs), so that a caller and a daemon of different
 * builds do not talk past each other. In whole seconds, as `cli/short-way/daemon.pl` reads them.
 */
export function buildId(entry = process.argv[1]): string {
  const changed = entry === undefined ? 0 : Math.trunc((statSync(entry, { throwIfNoEntry: false })?.mtimeMs ?? 0) / 1000);
  return `${version}+${changed}`;
}
