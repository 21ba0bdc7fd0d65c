import { aroundMutants } from './around.ts';
import { callerMutants } from './callers.ts';
import { dockerMutants } from './docker.ts';
import { engineMutants } from './engines.ts';
import { entryMutants } from './entries.ts';
import { exhaustionMutants } from './exhaustion.ts';
import { kernelMutants, networkMutants } from './kernel.ts';
import { faultMutants } from './faults.ts';
import { functionMutants } from './functions.ts';
import { journalMutants } from './journal.ts';
import type { Mutant } from './mutant.ts';
import { ownKernelMutants } from './own-kernel.ts';
import { podmanMutants } from './podman.ts';
import { egressMutants } from './egress.ts';
import { secretMutants } from './secrets.ts';
import { wideningMutants } from './widening.ts';
import { workspaceMutants } from './workspace.ts';

/** Every mutant, by group. A group is a file beside this one. */
export const mutants: readonly Mutant[] = [
  ...kernelMutants,
  ...networkMutants,
  ...ownKernelMutants,
  ...journalMutants,
  ...workspaceMutants,
  ...egressMutants,
  ...secretMutants,
  ...functionMutants,
  ...exhaustionMutants,
  ...entryMutants,
  ...callerMutants,
  ...aroundMutants,
  ...faultMutants,
  ...wideningMutants,
  ...dockerMutants,
  ...podmanMutants,
  ...engineMutants,
];
