import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { namespaceOf } from '../host-view.ts';

/**
 * Limits of a process's own cgroups, read on the host (cgroups(7)). Limits that this program is under as well, for example of a
 * login session, are not the sandbox's.
 */
export interface OwnLimits {
  /** the tightest, as the kernel writes it; `undefined`: there is none */
  readonly processes: string | undefined;
  readonly memoryBytes: string | undefined;
  readonly cpu: string | undefined;
}

interface LimitFiles {
  /** controller of version 1, and its file */
  readonly one: readonly [string, string];
  /** file of version 2 */
  readonly two: string;
}

const files = {
  processes: { one: ['pids', 'pids.max'], two: 'pids.max' },
  memoryBytes: { one: ['memory', 'memory.limit_in_bytes'], two: 'memory.max' },
  cpu: { one: ['cpu', 'cpu.cfs_quota_us'], two: 'cpu.max' },
} as const satisfies Record<keyof OwnLimits, LimitFiles>;

/** What the kernel writes for "none": a word, minus one, or a number that no machine reaches. */
export function isLimit(text: string): boolean {
  const [value = ''] = text.trim().split(/\s+/);
  return /^\d+$/.test(value) && Number(value) > 0 && Number(value) < 2 ** 62;
}

export async function readOwnLimits(pid: number): Promise<OwnLimits> {
  const [mounts, its, ours] = await Promise.all([readText('/proc/self/mountinfo'), groupsOf(pid), groupsOf('self')]);
  const read = async ({ one: [controller, oneFile], two }: LimitFiles): Promise<string | undefined> => {
    const own = [
      ...levels(mounts, controller, its, ours).map((folder) => join(folder, oneFile)),
      ...levels(mounts, '', its, ours).map((folder) => join(folder, two)),
    ];
    const found = (await Promise.all(own.map(readText))).map((text) => text.trim()).filter(isLimit);
    return found.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))[0];
  };
  const [processes, memoryBytes, cpu] = await Promise.all([read(files.processes), read(files.memoryBytes), read(files.cpu)]);
  return { processes: processes ?? (await countedInNamespace(pid)), memoryBytes, cpu };
}

/** Since Linux 5.14 RLIMIT_NPROC is counted in each user namespace apart: in one of its own it is a limit of the sandbox's. */
async function countedInNamespace(pid: number): Promise<string | undefined> {
  const [space, own, limits] = await Promise.all([
    namespaceOf(pid, 'user'),
    namespaceOf('self', 'user'),
    readText(`/proc/${pid}/limits`),
  ]);
  return space === '' || space === own ? undefined : namespaceLimit(limits, await readText('/proc/self/limits'));
}

/** The hard limit of processes, where it is less than our own. */
export function namespaceLimit(its: string, ours: string): string | undefined {
  const hard = (text: string): number => Number(/^Max processes\s+\S+\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
  return hard(its) < hard(ours) ? String(hard(its)) : undefined;
}

/** The group of all sandboxes of an installation together (`share` in a policy): one of them could take it all. */
const ofAll = /^\/casemate\/own-[^/]+$/;

export type Groups = Readonly<Record<string, string>>;

/** Folders of the process's group and of those above it, as far as neither we nor all sandboxes are in them. */
export function levels(mountinfo: string, controller: string, its: Groups, ours: Groups): readonly string[] {
  const mount = mountOf(mountinfo, controller);
  const path = its[controller];
  if (mount === undefined || path === undefined) {
    return [];
  }
  const found: string[] = [];
  for (let at = path; at !== '/' && !ofAll.test(at) && !`${ours[controller] ?? ''}/`.startsWith(`${at}/`); at = dirname(at)) {
    found.push(join(mount.at, at.startsWith(mount.root) && mount.root !== '/' ? at.slice(mount.root.length) : at));
  }
  return found;
}

function mountOf(mountinfo: string, controller: string): { readonly at: string; readonly root: string } | undefined {
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '/', at = ''] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (controller === '' ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes(controller)) {
      return { at, root };
    }
  }
  return undefined;
}

/** Path by controller; version 2 under the empty name. */
async function groupsOf(pid: number | 'self'): Promise<Groups> {
  const lines = (await readText(`/proc/${pid}/cgroup`)).split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, names = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return path === undefined ? [] : names.split(',').map((name) => [name, path]);
    }),
  );
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}
