import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { kernelText } from '../../system/kernel-text.ts';
import { groupPaths } from './running-process.ts';

/** What the kernel's cgroup files say of a process's cgroup, in whichever layout this host has. */
export interface GroupLimits {
  /** bytes; `max` where there is no limit; `undefined`: it cannot be told */
  readonly memory: string | undefined;
  /** processors, e.g. `2.00` */
  readonly cpus: string | undefined;
  readonly pids: string | undefined;
  /** host ids of processes in the group */
  readonly members: readonly number[];
}

export async function groupLimits(pid: number): Promise<GroupLimits> {
  const groups = groupPaths(await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''));
  const read = (controller: string, separate: string, unified: string): string | undefined => {
    const own = groups.get(controller);
    const path =
      own === undefined
        ? join('/sys/fs/cgroup', groups.get('') ?? '/', unified)
        : join('/sys/fs/cgroup', controller, own, separate);
    return kernelText(path)?.trim();
  };
  const [memory, quota, period, pids, members] = [
    read('memory', 'memory.limit_in_bytes', 'memory.max'),
    read('cpu', 'cpu.cfs_quota_us', 'cpu.max'),
    read('cpu', 'cpu.cfs_period_us', 'cpu.max'),
    read('pids', 'pids.max', 'pids.max'),
    read('pids', 'cgroup.procs', 'cgroup.procs'),
  ];
  return {
    memory,
    cpus: cpusOf(quota, period),
    pids,
    members: (members ?? '')
      .split('\n')
      .map(Number)
      .filter((id) => id > 0),
  };
}

/** Either two files with a number each, or one with both. */
export function cpusOf(quota: string | undefined, period: string | undefined): string | undefined {
  const [first, second = period] = (quota ?? '').split(' ');
  if (first === undefined || first === '') {
    return undefined;
  }
  return first === 'max' || Number(first) < 0 ? 'max' : (Number(first) / Number(second)).toFixed(2);
}
