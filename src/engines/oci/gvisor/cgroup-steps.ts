import { posix } from 'node:path';

import type { EngineLimits } from '../../engine-limits.ts';
import type { Cgroup } from '../bundle.ts';
import type { CgroupHost } from '../host.ts';

/**
 * The cgroups around all processes of gVisor for one sandbox, as steps that `keep.pl` carries out. Pure. gVisor itself makes
 * cgroups only as root of the host, which it is not here.
 */

const cpuPeriodUs = 100_000;
const root = '/sys/fs/cgroup';

export interface GroupFacts extends Cgroup {
  /** a scope of the user's own systemd is around it, whose controllers are switched on already */
  readonly isDelegated: boolean;
  readonly layout: CgroupHost['layout'];
}

export function cgroupSteps(
  limits: EngineLimits,
  { path, controllers, swap, isDelegated, layout }: GroupFacts,
): readonly string[] {
  if (layout !== 'unified') {
    return separateSteps(limits, { path, controllers, swap });
  }
  const folder = posix.join(root, path);
  const on = controllers.map((name) => `+${name}`).join(' ');
  const above = isDelegated ? [] : [root, ...levelsAbove(root, path)];
  return [
    ...above.flatMap((group) => [make(group), write(`${group}/cgroup.subtree_control`, on)]),
    make(folder),
    ...limitsOf(unifiedFiles(limits, swap), controllers, (_, file) => `${folder}/${file}`),
    `join:${folder}`,
  ];
}

function separateSteps(limits: EngineLimits, { path, controllers, swap }: Cgroup): readonly string[] {
  // Time is counted by a controller of its own, which may be one with `cpu`.
  const names = [...controllers, ...(controllers.includes('cpu') ? ['cpuacct'] : [])];
  const folderOf = (name: string): string => posix.join(root, name, path);
  return [
    ...names.flatMap((name) => [...levelsAbove(posix.join(root, name), path), folderOf(name)].map(make)),
    ...limitsOf(separateFiles(limits, swap), controllers, (name, file) => `${folderOf(name)}/${file}`),
    ...names.map((name) => `join:${folderOf(name)}`),
  ];
}

/** Groups between `top` and the one of `path`, from above. */
function levelsAbove(top: string, path: string): readonly string[] {
  const names = path.split('/').slice(1, -1);
  return names.map((_, index) => posix.join(top, ...names.slice(0, index + 1)));
}

type Files = Readonly<Record<string, readonly (readonly [string, string])[]>>;

function unifiedFiles({ memoryBytes, cpus, pids }: EngineLimits, swap: boolean): Files {
  return {
    memory: [['memory.max', String(memoryBytes)], ...(swap ? [['memory.swap.max', '0'] as const] : [])],
    cpu: [['cpu.max', `${quota(cpus)} ${cpuPeriodUs}`]],
    pids: [['pids.max', String(hostTasks(pids))]],
  };
}

function separateFiles({ memoryBytes, cpus, pids }: EngineLimits, swap: boolean): Files {
  const bytes = String(memoryBytes);
  return {
    memory: [['memory.limit_in_bytes', bytes], ...(swap ? [['memory.memsw.limit_in_bytes', bytes] as const] : [])],
    cpu: [
      ['cpu.cfs_period_us', String(cpuPeriodUs)],
      ['cpu.cfs_quota_us', String(quota(cpus))],
    ],
    pids: [['pids.max', String(hostTasks(pids))]],
  };
}

function limitsOf(files: Files, controllers: readonly string[], place: (controller: string, file: string) => string) {
  return controllers.flatMap((name) => (files[name] ?? []).map(([file, text]) => write(place(name, file), text)));
}

function quota(cpus: number): number {
  return Math.max(1000, Math.round(cpus * cpuPeriodUs));
}

/**
 * Threads of the host for a sandbox of so many processes. gVisor's kernel counts the sandbox's own processes and refuses
 * what is too many; this bound is for gVisor itself, which needs a number of threads at rest and several for each process.
 */
export function hostTasks(pids: number): number {
  return Math.min(8192, 512 + 16 * pids);
}

function make(path: string): string {
  return `make:${path}`;
}

function write(path: string, text: string): string {
  return `write:${path}:${text}`;
}
