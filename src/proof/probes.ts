import type { Probe, ProbeTable, Profile } from './probe.ts';
import { fileProbes } from './probes/files.ts';
import { kernelProbes } from './probes/kernel.ts';
import { nameProbes } from './probes/names.ts';
import { networkProbes } from './probes/network.ts';
import { specificationProbes } from './probes/specification.ts';

/** Every probe, in the order in which they run: those that only look first, those that break things last. */
export const probes: ProbeTable = {
  ...kernelProbes,
  ...fileProbes,
  ...networkProbes,
  ...nameProbes,
  ...specificationProbes,
};

export interface Choice {
  readonly profile: Profile;
  /** only these probes, and those that attack these guarantees, by id; `undefined`: all */
  readonly only?: readonly string[] | undefined;
}

export function chooseProbes({ profile, only }: Choice): ProbeTable {
  const isChosen = (id: string, probe: Probe): boolean =>
    (profile === 'full' || probe.profile === 'quick') &&
    (only === undefined || only.includes(id) || probe.proves.some((guarantee) => only.includes(guarantee)));
  return Object.fromEntries(Object.entries(probes).filter(([id, probe]) => isChosen(id, probe)));
}
