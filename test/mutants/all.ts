import { exhaustionMutants } from './exhaustion.ts';
import type { Mutant } from './mutant.ts';
import { egressMutants } from './egress.ts';
import { workspaceMutants } from './workspace.ts';

/** Every mutant, by group. A group is a file beside this one. */
export const mutants: readonly Mutant[] = [...workspaceMutants, ...egressMutants, ...exhaustionMutants];
