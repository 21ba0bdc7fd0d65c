import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { readTextIfPresent } from '../../system/files.ts';
import { ownStats } from '../../system/own-files.ts';
import type { Delegation } from './delegation.ts';
import type { Machine } from '../kernel/seccomp.ts';
import type { Range } from './stage-plan.ts';

/** Facts of this host that decide how a sandbox is made. They are read, never guessed, and each is cheap to read. */

/** `undefined` for a machine nobody has tried. */
export function machineOf(arch: string): Machine | undefined {
  return arch === 'x64' || arch === 'arm64' ? arch : undefined;
}

/** First range of at least 65536 subordinate ids of a user in `/etc/subuid` or `/etc/subgid` (subuid(5)). */
export async function subordinateRange(
  file: string,
  user: { readonly name: string; readonly uid: number },
): Promise<Range | undefined> {
  return parseSubordinates((await readTextIfPresent(file)) ?? '', user);
}

function parseSubordinates(text: string, user: { readonly name: string; readonly uid: number }): Range | undefined {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter(([name]) => name === user.name || name === String(user.uid))
    .map(([, first, count]) => ({ first: Number(first), count: Number(count) }))
    .find(({ first, count }) => Number.isSafeInteger(first) && first > 0 && count >= 65536);
}

export interface CgroupHost {
  readonly layout: 'unified' | 'separate' | 'none';
  /** controllers this caller can use for a new group */
  readonly controllers: readonly string[];
  /** swap is accounted, so that it can be limited */
  readonly swap: boolean;
  /** buffers of sockets are not memory here and have a limit of their own */
  readonly socketsApart?: boolean | undefined;
  /** each sandbox's group is made below a scope of the caller's own systemd */
  readonly delegation?: Delegation | undefined;
  /** why an ordinary user gets no groups of his own */
  readonly lacks?: string | undefined;
}

const controllers = ['memory', 'cpu', 'pids'];

export interface CgroupAsker {
  readonly uid: number;
  /** asks the caller's own systemd; a text says what is missing */
  readonly delegate: () => Promise<Delegation | string>;
}

/** Where this caller can make groups of processes with limits: root anywhere, an ordinary user where they are delegated. */
export async function cgroupHost({ uid, delegate }: CgroupAsker, root = '/sys/fs/cgroup'): Promise<CgroupHost> {
  const unified = await readTextIfPresent(join(root, 'cgroup.controllers'));
  if (unified !== undefined && uid === 0) {
    const usable = controllers.filter((name) => unified.split(/\s+/).includes(name));
    return { layout: 'unified', controllers: usable, swap: await limitsSwap(root) };
  }
  if (unified !== undefined) {
    const delegation = await delegate();
    return typeof delegation === 'string'
      ? { layout: 'unified', controllers: [], swap: false, lacks: delegation }
      : { layout: 'unified', controllers: delegation.controllers, swap: delegation.swap, delegation };
  }
  const usable = await Promise.all(
    controllers.map(async (name) => ((await isWritable(join(root, name, 'cgroup.procs'))) ? [name] : [])),
  );
  const swap = (await readTextIfPresent(join(root, 'memory/memory.memsw.limit_in_bytes'))) !== undefined;
  const socketsApart = await exists(root, 'memory/memory.kmem.tcp.limit_in_bytes');
  return { layout: (await exists(root, 'memory')) ? 'separate' : 'none', controllers: usable.flat(), swap, socketsApart };
}

/** The root of the hierarchy has no limits; the group of this process, or the first below the root, tells. */
async function limitsSwap(root: string): Promise<boolean> {
  const own = /^0::(\/.*)$/m.exec((await readTextIfPresent('/proc/self/cgroup')) ?? '')?.[1] ?? '/';
  const below = await readdir(root, { withFileTypes: true }).catch(() => []);
  const groups = [own, ...below.filter((entry) => entry.isDirectory()).map(({ name }) => name)];
  const found = await Promise.all(groups.map((group) => exists(root, group, 'memory.swap.max')));
  return found.includes(true);
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function exists(...parts: readonly string[]): Promise<boolean> {
  return stat(join(...parts)).then(
    () => true,
    () => false,
  );
}

/**
 * Where the root of a sandbox is mounted, in the runtime's own mount namespace only: a folder that every id may pass
 * through, which the first process of a sandbox must, and that holds nothing of `ours` or of the runtime.
 */
export function stageFolder(
  ours: readonly string[],
  candidates: readonly string[] = ['/mnt', '/srv', '/media', '/home'],
): string | undefined {
  const free = candidates.filter((candidate) => ours.every((path) => path !== candidate && !path.startsWith(`${candidate}/`)));
  for (const candidate of free) {
    if (ownStats(candidate)?.isDirectory() === true) {
      return candidate;
    }
  }
  return undefined;
}
