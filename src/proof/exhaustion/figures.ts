import { readdir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import { ownGroups } from '../../engines/oci/stats.ts';

/** Figures that this host's kernel keeps, of processes and of the whole host. They tell from outside what an attack has cost. */

export interface ProcessFigures {
  readonly residentBytes: number;
  readonly descriptors: number;
}

/** `undefined`: the process has ended, or another one has its number. */
export async function processFigures(pid: number, started: string): Promise<ProcessFigures | undefined> {
  if ((await startOf(pid)) !== started) {
    return undefined;
  }
  const status = await readText(`/proc/${pid}/status`);
  const descriptors = (await readdir(`/proc/${pid}/fd`).catch(() => [])).length;
  return { residentBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024, descriptors };
}

/** When a process started, in ticks of the clock: with its number, the process itself (proc(5)). Empty when it is gone. */
export async function startOf(pid: number): Promise<string> {
  const text = await readText(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

export interface HostFigures {
  readonly availableBytes: number;
  /** of sockets, in all network namespaces */
  readonly tcpBytes: number;
  readonly processes: number;
  readonly freeDiskBytes: number;
  readonly freeNames: number;
}

const pageBytes = 4096;

export async function hostFigures(folder: string): Promise<HostFigures> {
  const [memory, sockets, load, disk] = await Promise.all([
    readText('/proc/meminfo'),
    readText('/proc/net/sockstat'),
    readText('/proc/loadavg'),
    statfs(folder),
  ]);
  return {
    availableBytes: Number(/^MemAvailable:\s+(\d+) kB$/m.exec(memory)?.[1] ?? 0) * 1024,
    tcpBytes: Number(/^TCP:.* mem (\d+)/m.exec(sockets)?.[1] ?? 0) * pageBytes,
    processes: Number(/\d+\/(\d+)/.exec(load)?.[1] ?? 0),
    freeDiskBytes: disk.bavail * disk.bsize,
    freeNames: disk.ffree,
  };
}

/** What the cgroup of a sandbox has as its bounds and holds now; a field is absent where this host does not limit or count it. */
export interface GroupFigures {
  readonly memoryMost?: number | undefined;
  readonly memoryPeak?: number | undefined;
  readonly socketsMost?: number | undefined;
  readonly pidsMost?: number | undefined;
  readonly pids?: number | undefined;
  /** of one processor, e.g. `1.5` */
  readonly processors?: number | undefined;
  readonly usedMs?: number | undefined;
  /** processes that were ended because there was no memory for them */
  readonly killed?: number | undefined;
}

/** Of the sandbox `id`, whose first process is `pid`; without `id` its group is whichever it is in, but the root. */
export async function groupFigures(id: string | undefined, pid: number, root = '/sys/fs/cgroup'): Promise<GroupFigures> {
  const names = await readdir(root).catch((): string[] => []);
  const isUnified = names.includes('cgroup.controllers');
  const text = await readText(`/proc/${pid}/cgroup`);
  const groups = id === undefined ? allGroups(text) : ownGroups(id, text);
  const read = async (controller: string, unified: string, separate: string): Promise<string> => {
    const group = groups.get(isUnified ? '' : controller);
    return group === undefined
      ? ''
      : await readText(join(root, isUnified ? '' : controller, group, isUnified ? unified : separate));
  };
  const [memoryMost, memoryPeak, socketsMost, pidsMost, pids, quota, period, used, killed] = await Promise.all([
    read('memory', 'memory.max', 'memory.limit_in_bytes'),
    read('memory', 'memory.peak', 'memory.max_usage_in_bytes'),
    isUnified ? '' : read('memory', '', 'memory.kmem.tcp.limit_in_bytes'),
    read('pids', 'pids.max', 'pids.max'),
    read('pids', 'pids.current', 'pids.current'),
    read('cpu', 'cpu.max', 'cpu.cfs_quota_us'),
    read('cpu', 'cpu.max', 'cpu.cfs_period_us'),
    read('cpuacct', 'cpu.stat', 'cpuacct.usage'),
    read('memory', 'memory.events', 'memory.oom_control'),
  ]);
  const usedNumber = firstNumber(used);
  return {
    memoryMost: firstNumber(memoryMost),
    memoryPeak: firstNumber(memoryPeak),
    socketsMost: firstNumber(socketsMost),
    pidsMost: firstNumber(pidsMost),
    pids: firstNumber(pids),
    processors: share(firstNumber(quota), isUnified ? firstNumber(quota.split(' ')[1] ?? '') : firstNumber(period)),
    usedMs: usedNumber === undefined ? undefined : usedNumber / (isUnified ? 1000 : 1_000_000),
    killed: firstNumber(/^oom_kill (\d+)$/m.exec(killed)?.[1] ?? ''),
  };
}

/** Of an engine that names groups its own way. */
function allGroups(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.+)$/.exec(line) ?? [];
      return path === '' ? [] : controllers.split(',').map((name) => [name, path] as const);
    }),
  );
}

/** What no limit is written as: `max`, -1, or a number beyond all memory. */
const unlimited = 2 ** 60;

function firstNumber(text: string): number | undefined {
  const digits = /^(?:\w+ )?(\d+)/.exec(text)?.[1];
  const value = digits === undefined ? undefined : Number(digits);
  return value === undefined || value > unlimited ? undefined : value;
}

function share(quota: number | undefined, period: number | undefined): number | undefined {
  return quota === undefined || period === undefined || period === 0 ? undefined : quota / period;
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}
