import { watch } from 'node:fs';
import { open, readFile } from 'node:fs/promises';

import { attack, control, type Row } from '../finding.ts';
import { firstRow, takeWhile, takenRow, type AttackTable, type Field, type TakeRow } from './attack.ts';
import { hostFigures } from './figures.ts';
import { endedRow, orderRows, queuedBytes, takeToTheEnd } from './own-kernel.ts';

/** What a sandbox can take of the host: each kind up to its limit, while the others must go on. */

const mebi = 1024 * 1024;

export const takeAttacks: AttackTable = {
  processes: {
    title: 'start processes without end',
    source: 'CIS Docker 5.29',
    layers: { 'pids-limit': /^processes(?: as the host counts them)?: / },
    async run(field) {
      const { limits, lab, group } = field;
      const most = field.ownKernel ? tasksFor(limits.pids) : limits.pids;
      const row = { take: 'processes', what: 'processes', tried: limits.pids * 6, bound: limits.pids };
      const peer = await lab.peer();
      const [hold, [now, other]] = await takeWhile(await field.hand(), row, () =>
        Promise.all([group(), peer.target.inside(['true'])]),
      );
      return [
        takenRow(row, hold),
        attack('processes as the host counts them', {
          expected: `at most ${most}`,
          seen: now.pids === undefined ? 'not counted here' : `${now.pids}, limit ${now.pidsMost ?? 'none'}`,
          ok: now.pids === undefined || now.pids <= most,
          from: 'outside',
        }),
        firstRow(row, hold),
        control('another sandbox starts a program meanwhile', {
          expected: 'exit code 0',
          seen: `exit code ${other.code}`,
          ok: other.code === 0,
          from: 'outside',
        }),
      ];
    },
  },
  memory: {
    title: 'take memory of every kind: its own, shared, files in memory, buffers of pipes and sockets',
    source: 'CIS Docker 5.11; tcp(7) on memory that cgroup v1 does not count',
    layers: { 'memory-limit': /^MiB |^memory as the host counts it: / },
    run: takeMemory,
  },
  files: {
    title: 'fill the folders that are memory, with bytes and with names',
    source: 'tmpfs(5)',
    async run(field) {
      const half = Math.floor(field.limits.memoryBytes / 2);
      const places = ['tmp', 'var_tmp', 'shm'];
      const bytes = places.map((place) => ({
        take: `bytes_${place}`,
        what: `MiB in ${place}`,
        tried: (4 * half) / mebi,
        bound: half / mebi,
      }));
      const names = places.map((place) => ({
        take: `names_${place}`,
        what: `names in ${place}`,
        tried: field.ownKernel ? 8192 : half / 2048,
        bound: half / 4096,
      }));
      // gVisor's kernel does not count names: they are its memory.
      return field.ownKernel
        ? [...(await takeEach(field, bytes)), ...(await takeEachToTheEnd(field, names))]
        : await takeEach(field, [...bytes, ...names]);
    },
  },
  home: {
    title: 'fill the home folder, with bytes and with names',
    source: 'Kubernetes ephemeral storage limits',
    layers: { 'disk-limit': /^(?:MiB|names) in the home: |^free disk of the host: / },
    run: fillHome,
  },
  'file-size': {
    title: 'make one file of 60 GiB in the workspace',
    source: 'CIS Docker 5.x; setrlimit(2)',
    lacks: ({ workspace }) => (workspace.mode === 'readonly' ? 'the workspace cannot be written' : undefined),
    async run(field) {
      const { limits, lab } = field;
      const size = Math.floor(limits.fileBytes / mebi);
      const before = await hostFigures(lab.folder);
      const rows = await takeEach(field, [
        { take: 'bytes_workspace', what: 'MiB in one file of the workspace', tried: 2 * size, bound: size },
      ]);
      const long = await takeWhile(await field.hand(), { ...longFile, bound: 0 }, async () => await hostFigures(lab.folder));
      return [
        ...rows,
        takenRow(longFile, long[0]),
        attack('free disk of the host', {
          expected: `not less by more than ${size + slackMiB} MiB`,
          seen: `${Math.round((before.freeDiskBytes - long[1].freeDiskBytes) / mebi)} MiB less`,
          ok: before.freeDiskBytes - long[1].freeDiskBytes < limits.fileBytes + slackMiB * mebi ? true : undefined,
          from: 'outside',
        }),
      ];
    },
  },
  descriptors: {
    title: 'open descriptors of every kind without end',
    source: 'setrlimit(2); slab memory behind sockets, pipes and epoll',
    async run(field) {
      const { openFiles } = field.limits;
      const kinds = ['devices', 'socket_pairs', 'pipes', 'epolls', 'counters', 'clocks', 'memory_files'];
      const rows = kinds.map((take) => ({ take, what: take.replace('_', ' '), tried: openFiles * 8, bound: openFiles }));
      return await takeEach(field, rows);
    },
  },
  pools: {
    title: 'take what the kernel keeps in one pool for everybody: terminals, inotify, asynchronous I/O, timers, queues, keys',
    source: 'kernel.pty.max, fs.aio-max-nr, user.max_inotify_instances; one container took 3,071 of 4,096 terminals',
    run: takePools,
  },
  priority: {
    title: 'raise its priority and its own limits',
    source: 'CIS Docker 5.12; sched(7)',
    async run(field) {
      const [hold, order] = await takeWhile(await field.hand(), raise, async () =>
        field.ownKernel ? await orderRows(field) : [],
      );
      const judged = Object.entries(hold.counts).filter(([what]) => !field.ownKernel || what.startsWith('limit of '));
      const rows = judged.map(([what, seen]) =>
        attack(what, { expected: 'EPERM or EACCES', seen: String(seen), ok: ['EPERM', 'EACCES'].includes(String(seen)) }),
      );
      return [...rows, ...order];
    },
  },
  processor: {
    title: 'keep every processor busy',
    source: 'CIS Docker 5.12',
    layers: { 'cpu-limit': /^processors it had: / },
    run: burn,
  },
};

/** Measured, not judged: no layer of ours bounds them, the host's scheduler does. */
export const measuredAttacks: AttackTable = {
  'disk-writes': {
    title: 'write and flush without end',
    source: 'fsync storms; ext4 journal commits are of the whole file system',
    async run(field) {
      const isReadonly = field.lab.twin.target.plan?.workspace.mode === 'readonly';
      const kinds = isReadonly ? ['syncs'] : ['disk_writes', 'syncs'];
      const rows = kinds.map((take) => ({ take, what: `${take.replace('_', ' ')} in 1500 ms`, tried: 1500, bound: 1e9 }));
      return await takeEach(field, rows);
    },
  },
};

const slackMiB = 512;
const longFile: TakeRow = { take: 'long_file', what: 'GiB of a file without content', tried: 60, bound: 0 };

const raise: TakeRow = { take: 'raised', what: 'priority', tried: 1, bound: 0 };

/** Threads of this host for so many programs, with gVisor. */
function tasksFor(pids: number): number {
  return 512 + 16 * pids;
}

async function takeEachToTheEnd(field: Field, rows: readonly TakeRow[]): Promise<readonly Row[]> {
  const seen: Row[] = [];
  for (const row of field.isBounded ? rows : []) {
    // oxlint-disable-next-line no-await-in-loop -- one kind at a time: two would share the limit
    const ended = await takeToTheEnd(field, row);
    seen.push(endedRow(row, ended, field.limits.memoryBytes));
    seen.push(...(ended.hold === undefined ? [] : [firstRow(row, ended.hold)]));
  }
  return seen;
}

async function takeEach({ hand }: Field, rows: readonly TakeRow[]): Promise<readonly Row[]> {
  const seen: Row[] = [];
  for (const row of rows) {
    // oxlint-disable-next-line no-await-in-loop -- one kind at a time: two would share the limit
    const [hold] = await takeWhile(await hand(), row, () => Promise.resolve());
    seen.push(takenRow(row, hold), firstRow(row, hold));
  }
  return seen;
}

/** Past the limit a process is killed; which one, is the sandbox's own affair as long as it is one of its own. */
async function takeMemory(field: Field): Promise<readonly Row[]> {
  const whole = Math.floor(field.limits.memoryBytes / mebi);
  const before = await field.group();
  const apart = before.socketsMost === undefined ? whole : Math.ceil(whole / 2);
  const kinds = memoryKinds(whole, apart);
  if (field.ownKernel) {
    return await takeGvisorMemory(field, kinds);
  }
  const rows = await takeEach(field, kinds);
  const { memoryMost, memoryPeak, killed } = await field.group();
  const [init = 0] = await field.attacker.target.processes();
  return [
    ...rows,
    attack('memory as the host counts it', {
      expected: `at most ${whole} MiB`,
      seen: memoryPeak === undefined ? 'not counted here' : `${Math.round(memoryPeak / mebi)} MiB, ${killed ?? 0} killed`,
      ok: memoryMost !== undefined && (memoryPeak ?? 0) <= field.limits.memoryBytes + mebi,
      from: 'outside',
    }),
    attack('the sandbox itself', {
      expected: 'its first process lives',
      seen: init === 0 ? 'gone' : 'it lives',
      ok: init !== 0,
      from: 'outside',
    }),
  ];
}

function memoryKinds(whole: number, apart: number): readonly TakeRow[] {
  return [
    { take: 'memory', what: 'MiB of its own', tried: 2 * whole, bound: whole },
    { take: 'shared_memory', what: 'MiB of shared memory', tried: 2 * whole, bound: whole },
    { take: 'pipe_buffers', what: 'MiB in pipes', tried: 240, bound: whole },
    { take: 'tcp_buffers', what: 'MiB in TCP connections', tried: 120, bound: apart },
    { take: 'unix_buffers', what: 'MiB in Unix sockets', tried: 240, bound: whole },
    { take: 'udp_buffers', what: 'MiB in UDP sockets', tried: 480, bound: whole },
  ];
}

/** Buffers of TCP and UDP are this host's, all others are memory of gVisor's kernel. */
async function takeGvisorMemory(field: Field, kinds: readonly TakeRow[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const kind of kinds) {
    const protocol = kind.take === 'tcp_buffers' ? 'tcp' : kind.take === 'udp_buffers' ? 'udp' : undefined;
    // oxlint-disable-next-line no-await-in-loop -- one kind at a time: two would share the limit
    const ended = await takeToTheEnd(field, kind, async () => (protocol === undefined ? [] : await queued(field, protocol)));
    rows.push(endedRow(kind, ended, field.limits.memoryBytes));
    rows.push(...(ended.hold === undefined ? [] : [firstRow(kind, ended.hold)]));
    if (protocol !== undefined && ended.hold !== undefined) {
      rows.push(...bufferRows(kind, ended.seen));
    }
  }
  return rows;
}

async function queued({ attacker }: Field, protocol: 'tcp' | 'udp'): Promise<readonly number[]> {
  const [keeper = 0] = await attacker.target.processes();
  return await queuedBytes(keeper, protocol);
}

/** All connections of a host share one amount of memory (tcp(7)): none may have much of it. */
const mostOfOneSocket = 1.5 * mebi;

function bufferRows({ what, bound }: TakeRow, sockets: readonly number[]): readonly Row[] {
  const whole = Math.round(sockets.reduce((sum, bytes) => sum + bytes, 0) / mebi);
  const greatest = Math.max(0, ...sockets);
  const facts = (most: number, seen: number) => ({
    expected: `at most ${most}`,
    seen: String(seen),
    ok: seen <= most,
    from: 'outside' as const,
  });
  return [
    attack(`${what}, as the host counts them`, facts(bound, whole)),
    attack(`${what}: bytes of one socket, as the host counts them`, facts(mostOfOneSocket, greatest)),
  ];
}

async function fillHome(field: Field): Promise<readonly Row[]> {
  const { limits, lab } = field;
  const whole = Math.floor(limits.diskBytes / mebi);
  const before = await hostFigures(lab.places.state);
  const row = { take: 'bytes_home', what: 'MiB in the home', tried: 4 * whole, bound: whole };
  const [hold, after] = await takeWhile(await field.hand(), row, () => hostFigures(lab.places.state));
  const names = { take: 'names_home', what: 'names in the home', tried: 8 * whole * 256, bound: whole * 256 };
  const [named] = await takeWhile(await field.hand(), names, () => Promise.resolve());
  const less = Math.round((before.freeDiskBytes - after.freeDiskBytes) / mebi);
  return [
    takenRow(row, hold),
    takenRow(names, named),
    firstRow(row, hold),
    attack('free disk of the host', {
      expected: `not less by more than ${whole + slackMiB} MiB`,
      seen: `${less} MiB less`,
      // Others write on this disk, too.
      ok: less < whole + slackMiB ? true : undefined,
      from: 'outside',
    }),
  ];
}

interface Pool extends TakeRow {
  /** whether this host still gets one */
  readonly host?: (() => Promise<boolean>) | undefined;
  /** whether a sandbox has any of it at all */
  readonly isRefused?: boolean | undefined;
}

const pools: readonly Pool[] = [
  { take: 'terminals', what: 'terminals', tried: 3000, bound: 64, host: canOpenTerminal },
  { take: 'inotify', what: 'inotify instances', tried: 3000, bound: 1024, host: canWatch },
  { take: 'aio', what: 'contexts of asynchronous I/O', tried: 600, bound: 0, host: hasAsynchronous, isRefused: true },
  { take: 'message_queues', what: 'message queues', tried: 3000, bound: 256 },
  { take: 'locked_memory', what: 'MiB of locked shared memory', tried: 64, bound: 8 },
  { take: 'old_queues', what: 'System V queues', tried: 3000, bound: 32_000 },
  { take: 'semaphores', what: 'System V semaphore sets', tried: 1000, bound: 32_000 },
  { take: 'timers', what: 'timers', tried: 5000, bound: 1024 },
  { take: 'keys', what: 'keys', tried: 300, bound: 0, isRefused: true },
];

async function takePools(field: Field): Promise<readonly Row[]> {
  const peer = await (await field.lab.peer()).hand();
  const rows: Row[] = [];
  for (const pool of pools) {
    const one = { ...pool, tried: 1 };
    // oxlint-disable-next-line no-await-in-loop -- one pool at a time
    const [hold, [other, host]] = await takeWhile(await field.hand(), pool, async () => {
      const [held] = await takeWhile(peer, one, () => Promise.resolve());
      return [held, await pool.host?.()] as const;
    });
    if (field.ownKernel && hold.taken === 0 && pool.isRefused !== true) {
      // It is not there in gVisor's kernel.
      continue;
    }
    // What gVisor's kernel has of its own is shared with nobody, and is memory of the sandbox.
    rows.push(...(field.ownKernel && pool.isRefused !== true ? [] : [takenRow(pool, hold)]));
    if (pool.isRefused !== true) {
      const left = `one for another sandbox (${pool.what})`;
      rows.push(attack(left, { expected: 'given', seen: other.taken === 1 ? 'given' : other.stopped, ok: other.taken === 1 }));
      rows.push(firstRow(pool, hold));
    }
    if (host !== undefined) {
      rows.push(
        attack(`one for the host (${pool.what})`, {
          expected: 'given',
          seen: host ? 'given' : 'none',
          ok: host,
          from: 'outside',
        }),
      );
    }
  }
  return rows;
}

async function canOpenTerminal(): Promise<boolean> {
  return await open('/dev/ptmx', 'r+').then(
    async (file) => {
      await file.close();
      return true;
    },
    () => false,
  );
}

async function canWatch(): Promise<boolean> {
  try {
    watch('/', () => undefined).close();
    return true;
  } catch {
    return false;
  }
}

/** A database on the host needs some thousands of them. */
async function hasAsynchronous(): Promise<boolean> {
  const read = async (name: string): Promise<number> => Number(await readFile(`/proc/sys/fs/${name}`, 'utf8').catch(() => '0'));
  const [used, most] = await Promise.all([read('aio-nr'), read('aio-max-nr')]);
  return most === 0 || most - used >= Math.min(8192, most / 2);
}

async function burn(field: Field): Promise<readonly Row[]> {
  const { cpus } = field.limits;
  const before = await field.group();
  const started = performance.now();
  const row = { take: 'processor', what: 'rounds of 8 busy loops', tried: 2000, bound: 1e9 };
  const [hold] = await takeWhile(await field.hand(), row, () => Promise.resolve());
  const after = await field.group();
  const share = ((after.usedMs ?? 0) - (before.usedMs ?? 0)) / (performance.now() - started);
  return [
    attack('processors it had', {
      expected: `at most ${cpus}`,
      seen: after.usedMs === undefined ? 'not counted here' : `${share.toFixed(2)}, limit ${after.processors ?? 'none'}`,
      ok: after.processors !== undefined && share < cpus * 1.15,
      from: 'outside',
    }),
    firstRow(row, hold),
  ];
}
