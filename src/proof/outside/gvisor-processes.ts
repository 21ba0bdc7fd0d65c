import { readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { processEnvironment, programFolders } from '../../system/environment.ts';
import { namespaceOf } from '../host-view.ts';
import type { Target } from '../target.ts';

/**
 * What this host sees of a sandbox that should run on gVisor's kernel: its processes, told apart by the program they run.
 * Nothing that is said inside counts here.
 */
export interface HostProcess {
  readonly pid: number;
  /** `keeper`: ours, the first; `kernel`, `files`: gVisor's kernel and file server; `memory`: holds the memory of programs */
  readonly role: 'keeper' | 'kernel' | 'files' | 'memory' | 'stranger';
  /** path of the program, as the kernel has it */
  readonly program: string;
}

/** Those that are there; one that ended meanwhile is left out. */
export async function hostProcesses(target: Target): Promise<readonly HostProcess[]> {
  const [pids, gvisor] = await Promise.all([target.processes(), identitiesOf('runsc')]);
  const keeper = pids[0];
  const found = await Promise.all(pids.map((pid) => processOf(pid, keeper, gvisor)));
  return found.flat();
}

async function processOf(pid: number, keeper: number | undefined, gvisor: ReadonlySet<string>): Promise<readonly HostProcess[]> {
  const exe = `/proc/${pid}/exe`;
  const [program, identity, words] = await Promise.all([
    readlink(exe).catch(() => ''),
    identityOf(exe),
    readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''),
  ]);
  return identity === undefined
    ? []
    : [{ pid, role: roleOf({ isFirst: pid === keeper, isGvisor: gvisor.has(identity), words }), program }];
}

interface Facts {
  readonly isFirst: boolean;
  readonly isGvisor: boolean;
  /** its arguments, each ended by a zero byte */
  readonly words: string;
}

/** A process names itself as it likes; which program it runs, the kernel says. */
export function roleOf({ isFirst, isGvisor, words }: Facts): HostProcess['role'] {
  if (!isGvisor) {
    return isFirst ? 'keeper' : 'stranger';
  }
  const name = words.split('\0')[0];
  return name === 'runsc-sandbox' ? 'kernel' : name === 'runsc-gofer' ? 'files' : 'memory';
}

/** All but the first are gVisor's, its kernel and file server among them, and each is in another user namespace than this host. */
export async function hasOwnKernel(target: Target): Promise<boolean> {
  if (target.plan?.runtime !== 'runsc') {
    return false;
  }
  const [seen, own] = await Promise.all([hostProcesses(target), namespaceOf('self', 'user')]);
  const spaces = await Promise.all(seen.map(({ pid }) => namespaceOf(pid, 'user')));
  return isGvisorAlone(seen) && spaces.every((space) => space !== own);
}

export function isGvisorAlone(seen: readonly HostProcess[]): boolean {
  const roles = seen.map(({ role }) => role);
  return roles.includes('kernel') && roles.includes('files') && !roles.includes('stranger');
}

/** The process whose mounts are those of the sandbox: its first, or gVisor's file server. */
export async function showsFiles(target: Target): Promise<number | undefined> {
  if (target.plan?.runtime !== 'runsc') {
    return (await target.processes())[0];
  }
  return (await hostProcesses(target)).find(({ role }) => role === 'files')?.pid;
}

async function identitiesOf(name: string): Promise<ReadonlySet<string>> {
  const found = await Promise.all(programFolders(processEnvironment).map((folder) => identityOf(join(folder, name))));
  return new Set(found.filter((one) => one !== undefined));
}

/** Of the file itself, whatever it is called. */
async function identityOf(path: string): Promise<string | undefined> {
  return await stat(path).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => undefined,
  );
}
