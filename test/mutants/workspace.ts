import type { Mutant } from './mutant.ts';
import { specificationMutants } from './specification.ts';
import { workspaceFileMutants } from './workspace-files.ts';

/** Guards of the host against what a sandbox does to files, names and what Casemate shows of them. */
export const workspaceMutants: readonly Mutant[] = [
  ...specificationMutants,
  ...workspaceFileMutants,
  {
    name: 'seccomp-off',
    weakens: 'no filter of system calls is put into the bundle',
    file: 'src/engines/oci/bundle.ts',
    find: '...(facts.seccomp ? { seccomp: seccompProfile(facts.machine) } : {}),',
    replace: '',
    caughtBy: ['kernel.privilege', 'kernel.socket-families', 'kernel.dangerous-calls'],
  },
];
