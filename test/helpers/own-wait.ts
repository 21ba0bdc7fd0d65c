import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

const stepMs = 10;

/**
 * So much time in which this process was there to do something: what was sent within it has been read. A machine that holds the
 * process up makes it longer, where a timer would be over before anything else had its turn.
 */
export async function ownWait(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    await sleep(stepMs);
    await turn();
  }
}
