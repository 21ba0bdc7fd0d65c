import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { readTextIfPresent } from '../../system/files.ts';
import type { Stats } from '../engine.ts';

/** What a sandbox uses, read from its cgroup; `undefined` for what this host does not count. */
export async function sandboxStats(id: string, root = '/sys/fs/cgroup'): Promise<Stats> {
  const names = await readdir(root).catch((): string[] => []);
  const isUnified = names.includes('cgroup.controllers');
  const read = async (controller: string, file: string): Promise<number | undefined> =>
    numberOf(await readTextIfPresent(join(root, isUnified ? '' : controller, 'casemate', id, file)));
  const [memoryBytes, memoryPeakBytes, cpu, pids] = await Promise.all([
    read('memory', isUnified ? 'memory.current' : 'memory.usage_in_bytes'),
    read('memory', isUnified ? 'memory.peak' : 'memory.max_usage_in_bytes'),
    // microseconds in the unified layout, nanoseconds in the other
    read('cpuacct', isUnified ? 'cpu.stat' : 'cpuacct.usage'),
    read('pids', 'pids.current'),
  ]);
  return { memoryBytes, memoryPeakBytes, cpuMs: cpu === undefined ? undefined : cpu / (isUnified ? 1000 : 1_000_000), pids };
}

/** the first number of the file; `cpu.stat` begins `usage_usec N` */
function numberOf(text: string | undefined): number | undefined {
  const digits = /\d+/.exec(text ?? '')?.[0];
  return digits === undefined ? undefined : Number(digits);
}
