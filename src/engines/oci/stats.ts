import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { readTextIfPresent } from '../../system/files.ts';
import { kernelText } from '../../system/kernel-text.ts';
import type { Stats } from '../engine.ts';
import { isDelegated } from './delegation.ts';

/** What a sandbox uses, read from the cgroup of its first process. `undefined` for what this host does not count. */
export async function sandboxStats(id: string, pid: number, { root = '/sys/fs/cgroup', proc = '/proc' } = {}): Promise<Stats> {
  const names = await readdir(root).catch((): string[] => []);
  const isUnified = names.includes('cgroup.controllers');
  const groups = ownGroups(id, (await readTextIfPresent(join(proc, String(pid), 'cgroup'))) ?? '');
  const read = (controller: string, file: string): number | undefined => {
    const group = groups.get(isUnified ? '' : controller);
    return group === undefined ? undefined : numberOf(kernelText(join(root, isUnified ? '' : controller, group, file)));
  };
  // microseconds in the unified layout, nanoseconds in the other
  const cpu = read('cpuacct', isUnified ? 'cpu.stat' : 'cpuacct.usage');
  return {
    memoryBytes: read('memory', isUnified ? 'memory.current' : 'memory.usage_in_bytes'),
    memoryPeakBytes: read('memory', isUnified ? 'memory.peak' : 'memory.max_usage_in_bytes'),
    cpuMs: cpu === undefined ? undefined : cpu / (isUnified ? 1000 : 1_000_000),
    pids: read('pids', 'pids.current'),
  };
}

/**
 * From `/proc/PID/cgroup` (cgroups(7)): path of the group by controller, the unified one under the empty name. Only groups
 * that were made for this sandbox: without limits of its own its first process stays in the group of whoever started it.
 */
export function ownGroups(id: string, text: string): ReadonlyMap<string, string> {
  const rows = text.split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isOurs = isGroupOf(path, id) || (isDelegated(line) && path.includes(`/casemate-${id}-`));
    return isOurs ? controllers.split(',').map((name) => [name, path] as const) : [];
  });
  return new Map(rows);
}

/** Below the group of all sandboxes of an installation, or, where these are not limited together, beside it. */
function isGroupOf(path: string, id: string): boolean {
  const [nothing, ours, ...below] = path.split('/');
  return nothing === '' && ours === 'casemate' && below.length <= 2 && below.at(-1) === id;
}

/** the first number of the file; `cpu.stat` begins `usage_usec N` */
function numberOf(text: string | undefined): number | undefined {
  const digits = /\d+/.exec(text ?? '')?.[0];
  return digits === undefined ? undefined : Number(digits);
}
