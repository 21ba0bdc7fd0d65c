import { statSync } from 'node:fs';

import { version } from '../system/version.ts';

/** Which build this is, so that a caller and a daemon of different builds do not talk past each other. */
export function buildId(): string {
  const entry = process.argv[1];
  const changed = entry === undefined ? 0 : Math.trunc(statSync(entry, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return `${version}+${changed}`;
}
