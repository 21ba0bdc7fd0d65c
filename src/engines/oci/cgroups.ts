import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno, readTextIfPresent } from '../../system/files.ts';
import { killProcess, waitUntil } from './processes.ts';

/**
 * What is left of a sandbox's cgroups after its container is gone: nothing, unless the runtime was killed while it made
 * them. Whatever still runs in one is killed; the names are ours (`/casemate/<id>`).
 */
export async function clearCgroups(id: string, root = '/sys/fs/cgroup'): Promise<void> {
  const controllers = await readdir(root).catch((): string[] => []);
  const isUnified = controllers.includes('cgroup.controllers');
  const groups = isUnified ? [join(root, 'casemate', id)] : controllers.map((name) => join(root, name, 'casemate', id));
  await Promise.all(groups.map(clear));
}

async function clear(group: string): Promise<void> {
  await waitUntil(async () => {
    const pids = (await readTextIfPresent(join(group, 'cgroup.procs'))) ?? '';
    for (const pid of pids.split('\n').filter((line) => line !== '')) {
      killProcess(Number(pid));
    }
    return isGone(group);
  }, 5000);
}

async function isGone(group: string): Promise<boolean> {
  try {
    await rmdir(group);
    return true;
  } catch (error) {
    return !isErrno(error, 'EBUSY');
  }
}
