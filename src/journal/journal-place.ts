import { join } from 'node:path';

import type { Paths } from '../system/paths.ts';

/** Where the journal and its witness are kept: apart, so that someone who can write one need not be able to write the other. */
export function journalPlace(paths: Pick<Paths, 'state' | 'config'>): { readonly folder: string; readonly witnessPath: string } {
  return { folder: join(paths.state, 'journal'), witnessPath: join(paths.config, 'witness.json') };
}
