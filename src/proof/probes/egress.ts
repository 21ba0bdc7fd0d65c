import type { ProbeTable } from '../probe.ts';
import { addressProbes } from './addresses.ts';
import { destinationProbes } from './destinations.ts';
import { nameProbes } from './names.ts';
import { requestProbes } from './requests.ts';

/** Everything that attacks the way out: names, addresses, destinations, requests. */
export const egressProbes: ProbeTable = {
  ...nameProbes,
  ...addressProbes,
  ...destinationProbes,
  ...requestProbes,
};
