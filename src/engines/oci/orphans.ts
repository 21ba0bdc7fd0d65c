import { readFile } from 'node:fs/promises';

import type { ProcessIdentity } from '../../system/process-identity.ts';
import { endSession, processesInside } from '../processes.ts';

/**
 * Finds commands whose runtime died after bringing them into a sandbox: no one waits for their end, and perhaps no one knows of
 * them. They are recognised by their parent, which is outside the sandbox and not a runtime working on it.
 */
export async function endOrphans(init: ProcessIdentity, id: string): Promise<void> {
  const inside = await processesInside(init);
  const others = inside.filter((pid) => pid !== init.pid);
  const orphans = await Promise.all(others.map(async (pid) => ((await isOrphan(pid, { inside, id })) ? [pid] : [])));
  await Promise.all(orphans.flat().map((pid) => endSession(init, String(pid))));
}

interface Sandbox {
  readonly inside: readonly number[];
  readonly id: string;
}

async function isOrphan(pid: number, { inside, id }: Sandbox): Promise<boolean> {
  const parent = await parentOf(pid);
  if (parent === undefined || inside.includes(parent)) {
    return false;
  }
  const words = await readFile(`/proc/${parent}/cmdline`, 'utf8').catch(() => '');
  // Looked at again: a runtime may have ended in order between the two looks, and its command with it.
  return !words.split('\0').includes(id) && (await parentOf(pid)) !== undefined;
}

/** Field 4 of `/proc/PID/stat` (proc(5)); `undefined`: it has ended. */
async function parentOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === undefined || state === '' || state === 'Z' || state === 'X' ? undefined : Number(parent);
}
