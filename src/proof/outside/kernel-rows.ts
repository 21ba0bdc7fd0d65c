import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Plan } from '../../sandbox/plan/plan.ts';
import { holds, none, same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { namespaceOf, readProcess } from '../host-view.ts';
import { groupLimits, type GroupLimits } from './group-limits.ts';
import { idRanges, limitsOf, mountLines, type MountLine } from './running-process.ts';

/**
 * Compares what the kernel says of a sandbox's first process with its plan. The expected values are written here again and not
 * taken from where the product makes its specification, because a fault there would otherwise be expected too.
 */

const kinds = ['pid', 'net', 'ipc', 'uts', 'mnt', 'user', 'cgroup'];

export interface PlannedRun {
  readonly first: number;
  /** one of its processes whose namespaces may be looked at. Default: the first */
  readonly visible?: number | undefined;
  readonly plan: Plan;
  readonly uid: number;
}

export async function kernelRows({ first, visible = first, plan, uid }: PlannedRun): Promise<readonly Row[]> {
  const [own, limits, ids, mounts, group, strangers] = await Promise.all([
    namespacesOf('self'),
    readProcess(first, 'limits'),
    readProcess(first, 'uid_map'),
    readProcess(first, 'mountinfo'),
    groupLimits(first),
    strangersIn(first, 'pid', visible),
  ]);
  return [
    ...namespaceRows('', await namespacesOf(visible), own),
    ...idRows(ids, uid),
    ...mountRows(mountLines(mounts), plan),
    ...limitRows(limitsOf(limits), plan),
    ...groupRows({ ...group, strangers }, plan, ownPart(plan).pids),
    namespaceControl(own),
  ];
}

export async function namespacesOf(pid: number | 'self'): Promise<readonly string[]> {
  return await Promise.all(kinds.map((kind) => namespaceOf(pid, kind)));
}

export function namespaceControl(own: readonly string[]): Row {
  return control('namespaces of this process', {
    expected: String(kinds.length),
    seen: String(own.filter((name) => name !== '').length),
    ok: own.every((name) => name !== ''),
    from: 'outside',
  });
}

/** `of`: whose, as a word with a space behind it, or nothing. */
export function namespaceRows(of: string, inside: readonly string[], own: readonly string[]): readonly Row[] {
  return kinds.map((kind, index) => {
    const seen = inside[index] ?? '';
    return attack(`${of}${kind} namespace`, {
      expected: 'one of its own',
      seen: seen === '' ? 'it cannot be read' : seen === own[index] ? `that of this process, ${seen}` : seen,
      ok: seen === '' ? undefined : seen !== own[index],
      from: 'outside',
    });
  });
}

/** Root of the host has no place inside; a caller who is not root has exactly one, the agent's. */
export function idRows(text: string, uid: number): readonly Row[] {
  const ranges = idRanges(text);
  const covers = (id: number): number => ranges.filter(({ outside, size }) => id >= outside && id < outside + size).length;
  const size = ranges.reduce((sum, range) => sum + range.size, 0);
  return [
    same('ranges of ids that hold 0 of the host', 0, covers(0)),
    ...(uid === 0 ? [] : [same('ranges of ids that hold the caller', 1, covers(uid))]),
    attack('ids that are mapped', {
      expected: '1 to 65536',
      seen: String(size),
      ok: size > 0 && size <= 65_536,
      from: 'outside',
    }),
  ];
}

/** Of proc(5), what tells of the host; those that this host has must be covered. */
const telltale = [
  'acpi',
  'kallsyms',
  'kcore',
  'keys',
  'key-users',
  'kmsg',
  'modules',
  'sched_debug',
  'scsi',
  'timer_list',
  'slabinfo',
];
const steering = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];

function mountRows(lines: readonly MountLine[], plan: Plan): readonly Row[] {
  const at = (place: string): MountLine | undefined => lines.findLast((line) => line.at === place);
  const covered = (names: readonly string[]): readonly string[] =>
    names.map((name) => `/proc/${name}`).filter((path) => existsSync(path));
  const places = lines.map((line) => line.at);
  const readOnly = lines.filter((line) => line.options.includes('ro')).map((line) => line.at);
  const memory = lines.filter((line) => line.type === 'tmpfs' && !line.at.startsWith('/proc'));
  const boundless = memory.filter(
    ({ superOptions }) => !['size=', 'nr_inodes='].every((name) => superOptions.some((option) => option.startsWith(name))),
  );
  return [
    ...shownRows(lines, plan),
    holds('covered paths that tell of the host', covered(telltale), places),
    holds('read-only paths that steer the host', covered(steering), readOnly),
    none(
      'file systems in memory without a limit',
      boundless.map((line) => line.at),
    ),
    same('terminals at most', 'max=64', at('/dev/pts')?.superOptions.find((option) => option.startsWith('max=')) ?? 'no limit'),
  ];
}

/** What of this host's files is shown, and how. */
export function shownRows(lines: readonly MountLine[], { workspace, waive }: Plan): readonly Row[] {
  const at = (place: string): MountLine | undefined => lines.findLast((line) => line.at === place);
  return [
    holds('options of the root', ['ro', 'nosuid', 'nodev'], at('/')?.options ?? []),
    holds(
      'options of the workspace',
      [workspace.mode === 'readonly' ? 'ro' : 'rw', 'nosuid', 'nodev'],
      at('/workspace')?.options ?? [],
    ),
    holds('options of the home', ['rw', 'nosuid', 'nodev'], at('/home/agent')?.options ?? []),
    ...(waive.includes('disk-limit') ? [] : [attack('file system of the home', homeFacts(at('/home/agent')))]),
  ];
}

/** A limit on the home is a file system of its own. */
function homeFacts(home: MountLine | undefined) {
  const seen = home === undefined ? 'none' : `${home.type} on ${home.source}`;
  return { expected: 'ext4 on a loop device', seen, ok: /^ext4 on \/dev\/loop\d+$/.test(seen), from: 'outside' as const };
}

/** Of a plan's limits, what its own programs have: its servers take one half, and of what is left its containers do. */
export function ownPart({ limits, docker, companions }: Pick<Plan, 'limits' | 'docker' | 'companions'>): Plan['limits'] {
  const { memoryBytes, cpus, pids } = limits;
  const parts = 2 ** [docker, companions].filter((sharer) => sharer !== undefined).length;
  return { ...limits, memoryBytes: Math.floor(memoryBytes / parts), cpus: cpus / parts, pids: Math.floor(pids / parts) };
}

function limitRows(limits: Readonly<Record<string, string>>, plan: Plan): readonly Row[] {
  const planned = ownPart(plan);
  const wanted = {
    'Max core file size': 1,
    'Max file size': planned.fileBytes,
    'Max open files': planned.openFiles,
    'Max processes': planned.pids,
    'Max locked memory': 2 * 1024 * 1024,
  };
  return Object.entries(wanted).map(([name, value]) => same(name, String(value), limits[name] ?? 'nothing'));
}

/** Limits of a command as its own kernel tells it, by their names in getrlimit(2). */
export function commandLimitRows(seen: Readonly<Record<string, string>>, plan: Plan): readonly Row[] {
  const limits = ownPart(plan);
  const wanted = { CORE: 1, FSIZE: limits.fileBytes, NOFILE: limits.openFiles, NPROC: limits.pids, MEMLOCK: 2 * 1024 * 1024 };
  const rows = Object.entries(wanted).map(([name, value]) =>
    same(`RLIMIT_${name} of a command`, `${value} ${value}`, seen[name] ?? 'nothing', 'inside'),
  );
  // With 0 a crash would start the host's program for dumps. A kernel of gVisor's starts none.
  const lowered = same('RLIMIT_CORE of a command that set it to 0', '1 1', seen['LOWERED'] ?? 'nothing', 'inside');
  return plan.runtime === 'runsc' ? rows : [...rows, lowered];
}

/**
 * Who is in the group and in another namespace of this kind than the first process, or than `visible` where that one may not be
 * looked at. A runtime that starts a command is, for a
 * moment: whoever stays is a stranger. `undefined` where the first process may not be looked at.
 */
export async function strangersIn(first: number, kind: 'pid' | 'user', visible = first): Promise<readonly number[] | undefined> {
  const own = await namespaceOf(visible, kind);
  if (own === '') {
    return undefined;
  }
  let found: readonly number[] = [];
  for (let look = 0; look < 20; look += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    const { members } = await groupLimits(first);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const spaces = await Promise.all(members.map((pid) => namespaceOf(pid, kind)));
    const strange = members.filter((_, index) => spaces[index] !== '' && spaces[index] !== own);
    found = look === 0 ? strange : found.filter((pid) => strange.includes(pid));
    if (found.length === 0) {
      break;
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(50);
  }
  return found;
}

/** What a person waived by name is not asked about. `pids`: how many processes of this host the group may have. */
export function groupRows(
  { memory, cpus, pids: processes, strangers }: GroupLimits & { readonly strangers: readonly number[] | undefined },
  plan: Plan,
  pids: number,
): readonly Row[] {
  const page = 4096;
  const { waive } = plan;
  const limits = ownPart(plan);
  const rows = [
    { layer: 'memory-limit', row: same('memory of the group', String(Math.floor(limits.memoryBytes / page) * page), memory) },
    { layer: 'cpu-limit', row: same('processors of the group', limits.cpus.toFixed(2), cpus) },
    { layer: 'pids-limit', row: same('processes of the group', String(pids), processes) },
  ] as const;
  // Where an ordinary user has no groups, processes are limited by the resource limit above.
  if (waive.includes('memory-limit') && waive.includes('cpu-limit')) {
    return [];
  }
  const held = rows.filter(({ layer }) => !waive.includes(layer)).map(({ row }) => row);
  const others = 'processes of others in the group';
  return [
    ...held,
    strangers === undefined
      ? attack(others, { expected: 'none', seen: 'it cannot be read', ok: undefined, from: 'outside' })
      : none(others, strangers.map(String)),
  ];
}
