import type { ProbeTable } from '../probe.ts';
import { keyPlaceProbes } from './key-places.ts';

/** All that attacks keys: where they go, what comes back of them, and where they lie. */
export const secretProbes: ProbeTable = {
  ...keyPlaceProbes,
};
