import type { ProbeTable } from '../probe.ts';
import { brokenPolicyProbes } from './broken-policy.ts';
import { fullDiskProbes } from './full-disk.ts';
import { missingLayerProbes } from './missing-layer.ts';
import { outageProbes } from './outages.ts';

/** All that breaks something of the host: it stops work, and opens nothing. */
export const faultProbes: ProbeTable = {
  ...brokenPolicyProbes,
  ...missingLayerProbes,
  ...fullDiskProbes,
  ...outageProbes,
};
