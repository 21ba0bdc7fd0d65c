import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  /** at least 1 */
  readonly attempts: number;
  /** before the second attempt, milliseconds; once more as long before each later one */
  readonly waitMs: number;
}

/** Does it again while it fails, for a disk that is full or in trouble for a moment. Throws what the last attempt threw. */
export async function keepTrying<T>(work: () => Promise<T>, { attempts, waitMs }: Patience): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      return await work();
    } catch (error) {
      if (attempt >= attempts) {
        throw error;
      }
      // oxlint-disable-next-line no-await-in-loop -- waiting is the point
      await sleep(waitMs * attempt);
    }
  }
}
