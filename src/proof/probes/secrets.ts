import type { ProbeTable } from '../probe.ts';
import { functionProbes } from './functions.ts';
import { keyChangeProbes } from './key-changes.ts';
import { keyEchoProbes } from './key-echoes.ts';
import { keyHidingProbes } from './key-hiding.ts';
import { keyPlaceProbes } from './key-places.ts';

/** All that attacks keys and what they are good for: where they go, what comes back, where they lie, what may be done in their name. */
export const secretProbes: ProbeTable = {
  ...keyPlaceProbes,
  ...keyEchoProbes,
  ...keyHidingProbes,
  ...keyChangeProbes,
  ...functionProbes,
};
