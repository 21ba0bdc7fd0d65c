import type { ProbeTable } from '../probe.ts';
import { keyChangeProbes } from './key-changes.ts';
import { keyEchoProbes } from './key-echoes.ts';
import { keyEnvironmentProbes } from './key-environment.ts';
import { keyHidingProbes } from './key-hiding.ts';
import { keyPlaceProbes } from './key-places.ts';
import { keySignatureProbes } from './key-signatures.ts';

/** All that attacks keys: where they go, what comes back of them, where they lie, and when they are changed. */
export const secretProbes: ProbeTable = {
  ...keyEnvironmentProbes,
  ...keyPlaceProbes,
  ...keySignatureProbes,
  ...keyEchoProbes,
  ...keyHidingProbes,
  ...keyChangeProbes,
};
