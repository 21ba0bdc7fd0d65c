import { readFile } from 'node:fs/promises';

import type { SandboxContext } from './context.ts';
import type { Plan } from './plan.ts';
import type { SandboxRow } from './store.ts';

/** What the kernel says of a running sandbox, read from outside: the only ground for a tick in `inspect`. */
export interface ReadBack {
  readonly what: string;
  readonly value: string;
  readonly asPlanned: boolean;
}

/** Reads `/proc` of the sandbox's first process. What cannot be read is not as planned. */
export async function readBack(context: SandboxContext, row: SandboxRow, plan: Plan): Promise<readonly ReadBack[]> {
  const [pid] = await context.engine.processes(row.id);
  if (pid === undefined) {
    return [{ what: 'first process', value: 'none', asPlanned: false }];
  }
  const read = async (name: string): Promise<string> => await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
  const [status, uidMap, mounts, devices] = await Promise.all([
    read('status'),
    read('uid_map'),
    read('mountinfo'),
    read('net/dev'),
  ]);
  return judge({ status, uidMap, mounts, devices }, { uid: context.uid, mode: plan.workspace.mode });
}

/** Texts of proc(5); empty where one could not be read. */
export interface Readings {
  readonly status: string;
  readonly uidMap: string;
  readonly mounts: string;
  readonly devices: string;
}

export function judge(
  { status, uidMap, mounts, devices }: Readings,
  planned: { readonly uid: number; readonly mode: 'direct' | 'readonly' },
): readonly ReadBack[] {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const uids = field('Uid').trim();
  const capabilities = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(field);
  const root = mountOf(mounts, '/');
  const workspace = mountOf(mounts, '/workspace');
  const interfaces = interfaceNames(devices);
  return [
    tick('host user ids', uids.replaceAll(/\s+/g, ' '), uids !== '' && !uids.split(/\s+/).includes('0')),
    tick('id mapping', uidMap.trim().replaceAll(/\s+/g, ' '), uidMap.trim() !== '' && !mapsRoot(uidMap, planned.uid)),
    tick(
      'capabilities',
      capabilities.join(' '),
      capabilities.every((set) => /^0+$/.test(set)),
    ),
    tick('no new privileges', field('NoNewPrivs'), field('NoNewPrivs') === '1'),
    tick('seccomp mode', field('Seccomp'), field('Seccomp') === '2'),
    tick('network interfaces', interfaces.join(' '), interfaces.length === 1 && interfaces[0] === 'lo'),
    tick('root file system', root?.options ?? '', hasOptions(root, ['ro', 'nosuid', 'nodev'])),
    tick(
      'workspace',
      workspace?.options ?? '',
      hasOptions(workspace, [planned.mode === 'readonly' ? 'ro' : 'rw', 'nosuid', 'nodev']),
    ),
  ];
}

function tick(what: string, value: string, asPlanned: boolean): ReadBack {
  return { what, value, asPlanned };
}

interface Mount {
  readonly options: string;
}

/** The topmost mount at `target` (proc(5), mountinfo: fields 5 and 6). */
function mountOf(mountinfo: string, target: string): Mount | undefined {
  const rows = mountinfo.split('\n').map((line) => line.split(' '));
  const found = rows.findLast((fields) => fields[4] === target);
  return found?.[5] === undefined ? undefined : { options: found[5] };
}

function hasOptions(mount: Mount | undefined, wanted: readonly string[]): boolean {
  const options = mount?.options.split(',') ?? [];
  return wanted.every((option) => options.includes(option));
}

/** Whether id 0 of the host has a place inside; an ordinary caller's own id may have one, root's never. */
function mapsRoot(uidMap: string, callerUid: number): boolean {
  const ranges = uidMap
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return callerUid === 0 && ranges.some(([, outside = 0, size = 0]) => outside === 0 && size > 0);
}

function interfaceNames(devices: string): readonly string[] {
  return devices
    .split('\n')
    .slice(2)
    .flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
}
