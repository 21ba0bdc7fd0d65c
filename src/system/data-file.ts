import { join } from 'node:path';

/**
 * Absolute path of a file of ours that is not code. `name` is its path below `src/`, e.g. `engines/oci/listen.pl`.
 * The build copies such files to `dist/data/` under the same names (see `dataFiles` in `scripts/build.mjs`).
 */
export function dataFile(name: string): string {
  // Sources end in .ts and lie one folder below src/; in the build all chunks lie flat in dist/.
  return import.meta.filename.endsWith('.ts') ? join(import.meta.dirname, '..', name) : join(import.meta.dirname, 'data', name);
}
