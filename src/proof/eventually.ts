import { setTimeout as sleep } from 'node:timers/promises';

import { patience } from './patience.ts';

/** Asks until there is an answer; `undefined` if there was none in time. For things that must not be there use `settled`. */
export async function eventually<T>(ask: () => Promise<T | undefined>, limitMs = 8000): Promise<T | undefined> {
  const end = performance.now() + limitMs * patience();
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- until it is there
    const answer = await ask();
    if (answer !== undefined || performance.now() > end) {
      return answer;
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(25);
  }
}

/** What is still there when it had time to go: the last answer, or the first empty one. */
export async function settled<T>(ask: () => Promise<readonly T[]>, limitMs = 3000): Promise<readonly T[]> {
  const end = performance.now() + limitMs * patience();
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- until it is gone
    const left = await ask();
    if (left.length === 0 || performance.now() > end) {
      return left;
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(25);
  }
}
