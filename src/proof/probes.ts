import type { GuaranteeId } from './guarantees.ts';
import type { Probe, ProbeTable, Profile } from './probe.ts';
import { fileProbes } from './probes/files.ts';
import { kernelProbes } from './probes/kernel.ts';
import { nameProbes } from './probes/names.ts';
import { networkProbes } from './probes/network.ts';

/** Every probe, in the order in which they run: those that only look first, those that break things last. */
export const probes: ProbeTable = {
  ...kernelProbes,
  ...fileProbes,
  ...networkProbes,
  ...nameProbes,
};

export interface Choice {
  readonly profile: Profile;
  /** only probes that attack one of these; `undefined`: all */
  readonly only?: readonly GuaranteeId[] | undefined;
}

export function chooseProbes({ profile, only }: Choice): ProbeTable {
  const isChosen = (probe: Probe): boolean =>
    (profile === 'full' || probe.profile === 'quick') && (only === undefined || probe.proves.some((id) => only.includes(id)));
  return Object.fromEntries(Object.entries(probes).filter(([, probe]) => isChosen(probe)));
}
