import { statSync } from 'node:fs';

import { version } from '../system/version.ts';

/**
 * Identifies a build by its version and its program (default: the running one), so that a caller and a daemon of different
 * builds notice it. Times are in whole seconds, as `cli/short-way/daemon.pl` reads them.
 */
export function buildId(entry = process.argv[1]): string {
  const changed = entry === undefined ? 0 : Math.trunc((statSync(entry, { throwIfNoEntry: false })?.mtimeMs ?? 0) / 1000);
  return `${version}+${changed}`;
}
