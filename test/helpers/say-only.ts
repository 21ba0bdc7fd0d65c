import type { Script } from '../../src/tour/model-api/script.ts';

/** What the stand-in for a model says: one sentence, and it does nothing. */
export function sayOnly(sentence: string): Script {
  return () => ({ say: sentence, act: undefined });
}
