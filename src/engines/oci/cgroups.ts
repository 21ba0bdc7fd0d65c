import { readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno, readTextIfPresent } from '../../system/files.ts';
import { killProcess, waitUntil } from '../processes.ts';

/**
 * Limits socket buffers on hosts that do not count them as memory (cgroup v1), where no runtime sets that limit. It must be set
 * before anything of the image runs, because it only applies to sockets created afterwards.
 */
export async function limitSockets(group: string, memoryBytes: number): Promise<void> {
  const { path, text } = socketLimit(group, memoryBytes);
  await writeFile(path, text);
}

/** The file that bounds it and what is written there. `folder`: where the memory controller is mounted. */
export function socketLimit(
  group: string,
  memoryBytes: number,
  folder = '/sys/fs/cgroup/memory',
): { readonly path: string; readonly text: string } {
  return { path: join(folder, group, 'memory.kmem.tcp.limit_in_bytes'), text: String(Math.floor(memoryBytes / 4)) };
}

/**
 * What is left of a sandbox's cgroups after its container is gone: nothing, unless the runtime was killed while it made
 * them. Whatever still runs in one is killed; the names are ours (`/casemate/<owner>/<id>`, or without the owner where
 * sandboxes are not limited together).
 */
export async function clearCgroups(id: string, owner: string, root = '/sys/fs/cgroup'): Promise<void> {
  const controllers = await readdir(root).catch((): string[] => []);
  const tops = controllers.includes('cgroup.controllers') ? [root] : controllers.map((name) => join(root, name));
  const groups = [join('casemate', owner, id), join('casemate', id)];
  await Promise.all(tops.flatMap((top) => groups.map((group) => clear(join(top, group)))));
}

/** Most are empty by now, and all but a few were never there. */
async function clear(group: string): Promise<void> {
  if (await isGone(group)) {
    return;
  }
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
