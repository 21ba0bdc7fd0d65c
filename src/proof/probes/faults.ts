import type { ProbeTable } from '../probe.ts';
import { brokenPolicyProbes } from './broken-policy.ts';
import { fullDiskProbes } from './full-disk.ts';
import { missingLayerProbes } from './missing-layer.ts';
import { outageProbes } from './outages.ts';

/** Everything that breaks something of the host: that may stop work, and must open nothing. */
export const faultProbes: ProbeTable = {
  ...brokenPolicyProbes,
  ...missingLayerProbes,
  ...fullDiskProbes,
  ...outageProbes,
};
