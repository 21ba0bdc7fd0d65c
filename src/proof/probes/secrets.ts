import type { ProbeTable } from '../probe.ts';
import { keyChangeProbes } from './key-changes.ts';
import { keyEchoProbes } from './key-echoes.ts';
import { keyEnvironmentProbes } from './key-environment.ts';
import { keyHidingProbes } from './key-hiding.ts';
import { keyPlaceProbes } from './key-places.ts';
import { keySignatureProbes } from './key-signatures.ts';

/** Everything that attacks keys: where they go, what comes back of them, where they are kept, and when they change. */
export const secretProbes: ProbeTable = {
  ...keyEnvironmentProbes,
  ...keyPlaceProbes,
  ...keySignatureProbes,
  ...keyEchoProbes,
  ...keyHidingProbes,
  ...keyChangeProbes,
};
