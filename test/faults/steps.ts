/** All steps of the fault suite. */
import { credentialAndLoginSteps } from './credential-steps.ts';
import { imageSteps } from './image-steps.ts';
import { journalSteps } from './journal-steps.ts';
import { lifeSteps } from './life-steps.ts';
import { requestSteps } from './request-steps.ts';
import { snapshotSteps } from './snapshot-steps.ts';
import type { Step } from './step.ts';

export const steps: readonly Step[] = [
  ...lifeSteps,
  ...snapshotSteps,
  ...credentialAndLoginSteps,
  ...requestSteps,
  ...imageSteps,
  ...journalSteps,
];
