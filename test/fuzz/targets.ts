import type { FuzzTarget } from './fuzz.ts';
import { answerTargets } from './targets/answers.ts';
import { contentTargets } from './targets/content.ts';
import { nameTargets } from './targets/names.ts';
import { requestTargets } from './targets/requests.ts';
import { wireTargets } from './targets/wire.ts';

/** Every parser of what comes from a sandbox, an upstream or a person. */
export const targets: readonly FuzzTarget[] = [
  ...nameTargets,
  ...wireTargets,
  ...answerTargets,
  ...requestTargets,
  ...contentTargets,
];
