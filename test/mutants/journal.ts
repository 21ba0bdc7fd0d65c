import type { Mutant } from './mutant.ts';

/** Guards of the record: that it is whole, and that a change of it is found. */
export const journalMutants: readonly Mutant[] = [];
