/** All steps of the fault suite. */
import { lifeSteps } from './life-steps.ts';

export const steps = lifeSteps;
