import { readFile } from 'node:fs/promises';

import { isSameProcess, type ProcessIdentity } from '../../../system/process-identity.ts';
import { firstOf, namespaceOf, pidsInNamespace } from '../../processes.ts';

/**
 * gVisor's processes for one sandbox as the host sees them: the keeper, the kernel, the file server, and those that hold the
 * sandbox's memory. The sandbox's own programs are not processes of the host.
 */

/** Those of the sandbox's user namespace, the keeper first; a call of gVisor is not in it. None where that is our own. */
export async function gvisorProcesses(keeper: ProcessIdentity): Promise<readonly number[]> {
  const namespace = namespaceOf(String(keeper.pid), 'user');
  if (namespace === undefined || namespace === namespaceOf('self', 'user') || !(await isSameProcess(keeper))) {
    return [];
  }
  return firstOf(keeper, await pidsInNamespace('user', namespace));
}

/** The one by which the sandbox's files are reached: its mounts are the sandbox's. */
export async function fileServer(keeper: ProcessIdentity): Promise<number | undefined> {
  return childNamed(keeper, 'runsc-gofer');
}

export async function kernelProcess(keeper: ProcessIdentity): Promise<number | undefined> {
  return childNamed(keeper, 'runsc-sandbox');
}

async function childNamed({ pid }: ProcessIdentity, name: string): Promise<number | undefined> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')).trim().split(' ');
  const lines = await Promise.all(children.map((child) => readFile(`/proc/${child}/cmdline`, 'latin1').catch(() => '')));
  const found = children[lines.findIndex((line) => line.startsWith(`${name}\0`))];
  return found === undefined ? undefined : Number(found);
}
