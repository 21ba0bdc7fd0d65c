import type { ProbeTable } from '../probe.ts';
import { keyChangeProbes } from './key-changes.ts';
import { keyEchoProbes } from './key-echoes.ts';
import { keyHidingProbes } from './key-hiding.ts';
import { keyPlaceProbes } from './key-places.ts';

/** All that attacks keys: where they go, what comes back of them, where they lie, and when they are changed. */
export const secretProbes: ProbeTable = {
  ...keyPlaceProbes,
  ...keyEchoProbes,
  ...keyHidingProbes,
  ...keyChangeProbes,
};
