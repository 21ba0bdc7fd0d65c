import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { readTextIfPresent } from '../../system/files.ts';

/** Measured: for 16 ms after one asked nobody else waits. */
const againMs = 12;
/** long enough for a runtime whose start is certain, and for who starts it */
const turns = 4;

/**
 * The kernel moves a process to another cgroup only after every processor has passed a quiet point (a grace period of RCU),
 * which takes about 10 ms; who asks within little more after somebody else does not wait. A runtime asks some 20 ms after its
 * start. This asks as soon as that start is certain, and again until the runtime has, by moving this process to where it is:
 * nothing changes. Whoever may not write there leaves the wait to the runtime.
 */
export async function askForGracePeriod({
  root = '/sys/fs/cgroup',
  proc = '/proc',
  wait = (ms: number): Promise<void> => sleep(ms, undefined, { ref: false }),
} = {}): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await (turn === 0 ? undefined : wait(againMs));
    // oxlint-disable-next-line no-await-in-loop -- as above
    await ask(root, proc);
  }
}

async function ask(root: string, proc: string): Promise<void> {
  const own = /^0::(\/.*)$/m.exec((await readTextIfPresent(join(proc, 'self/cgroup')).catch(() => undefined)) ?? '')?.[1];
  if (own === undefined) {
    return;
  }
  // With two layouts at once the unified one lies beside the others.
  await Promise.all([root, join(root, 'unified')].map((hierarchy) => moveHere(join(hierarchy, own, 'cgroup.procs'))));
}

async function moveHere(file: string): Promise<void> {
  try {
    // Never made: a hierarchy that is not there has no such file.
    const group = await open(file, 'r+');
    try {
      await group.write(String(process.pid));
    } finally {
      await group.close();
    }
  } catch {
    // Not there, or not ours to write.
  }
}
