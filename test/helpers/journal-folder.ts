import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A place for one journal and its witness, as the command line lays them out; gone at the end of the test. */
export interface JournalFolder {
  /** what `CASEMATE_HOME` would be */
  readonly root: string;
  readonly folder: string;
  readonly witnessPath: string;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

export async function journalFolder(root?: string): Promise<JournalFolder> {
  const made = root ?? (await mkdtemp(join(tmpdir(), 'casemate-journal-')));
  return {
    root: made,
    folder: join(made, 'state', 'journal'),
    witnessPath: join(made, 'config', 'witness.json'),
    [Symbol.asyncDispose]: () => rm(made, { recursive: true, force: true }),
  };
}
