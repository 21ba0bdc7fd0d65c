import type { Probe, ProbeTable, Profile } from './probe.ts';
import { agentServerProbes } from './probes/agent-servers.ts';
import { aroundHostProbes } from './probes/around-host.ts';
import { aroundLimitProbes } from './probes/around-limits.ts';
import { aroundNetworkProbes } from './probes/around-network.ts';
import { aroundTerminalProbes } from './probes/around-terminal.ts';
import { aroundWorkProbes } from './probes/around-work.ts';
import { brokerProbes } from './probes/broker.ts';
import { callerProbes } from './probes/callers.ts';
import { callerHttpProbes } from './probes/callers-http.ts';
import { controlProbes } from './probes/control.ts';
import { destroyedProbes } from './probes/destroyed.ts';
import { engineProbes } from './probes/engines.ts';
import { entryProbes } from './probes/entries.ts';
import { executedProbes } from './probes/executed.ts';
import { exhaustionProbes } from './probes/exhaustion.ts';
import { egressProbes } from './probes/egress.ts';
import { fileProbes } from './probes/files.ts';
import { faultProbes } from './probes/faults.ts';
import { functionProbes } from './probes/functions.ts';
import { serviceProbes } from './probes/services-in-bounds.ts';
import { followedProbes } from './probes/followed.ts';
import { imageProbes } from './probes/images.ts';
import { journalProbes } from './probes/journal.ts';
import { kernelProbes } from './probes/kernel.ts';
import { networkProbes } from './probes/network.ts';
import { ownKernelProbes } from './probes/own-kernel.ts';
import { secretProbes } from './probes/secrets.ts';
import { repositoryProbes } from './probes/repositories.ts';
import { terminalProbes } from './probes/terminal.ts';
import { wideningProbes } from './probes/widening.ts';
import { workspaceProbes } from './probes/workspace.ts';

/** Every probe in running order: those that only look come first, those that break things last. */
export const probes: ProbeTable = {
  ...kernelProbes,
  ...ownKernelProbes,
  ...fileProbes,
  ...networkProbes,
  ...egressProbes,
  ...secretProbes,
  ...functionProbes,
  ...serviceProbes,
  ...wideningProbes,
  ...workspaceProbes,
  ...entryProbes,
  ...terminalProbes,
  ...controlProbes,
  ...callerProbes,
  ...agentServerProbes,
  ...callerHttpProbes,
  ...destroyedProbes,
  ...executedProbes,
  ...followedProbes,
  ...imageProbes,
  ...engineProbes,
  ...brokerProbes,
  ...repositoryProbes,
  ...journalProbes,
  ...aroundHostProbes,
  ...aroundNetworkProbes,
  ...aroundTerminalProbes,
  ...aroundWorkProbes,
  ...aroundLimitProbes,
  ...exhaustionProbes,
  ...faultProbes,
};

export interface Choice {
  readonly profile: Profile;
  /** only these probes, and those that attack these guarantees, by id; `undefined`: all */
  readonly only?: readonly string[] | undefined;
  /** only those that can be put to a sandbox that is not ours */
  readonly foreign?: boolean | undefined;
}

export function chooseProbes({ profile, only, foreign = false }: Choice): ProbeTable {
  const isChosen = (id: string, probe: Probe): boolean =>
    (!foreign || isForeign(probe)) &&
    (profile === 'full' || probe.profile === 'quick') &&
    (only === undefined || only.includes(id) || probe.proves.some((guarantee) => only.includes(guarantee)));
  return Object.fromEntries(Object.entries(probes).filter(([id, probe]) => isChosen(id, probe)));
}

function isForeign(probe: Probe): boolean {
  return probe.where === 'watched' || (probe.where === 'sandbox' && probe.foreign === true);
}
