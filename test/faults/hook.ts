/**
 * Loaded into the daemon or a command (`node --import`): counts what it does to the outside (files, state, programs, answers)
 * and makes one such point its last, or lets it fail. It is in no product file and no product switch leads to it.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';

import type { FaultPlan } from './fault-plan.ts';

const folder = new URL(import.meta.url).searchParams.get('folder') ?? '';
const role = process.argv.includes('serve') && process.argv.includes('daemon') ? 'daemon' : 'caller';
const planFile = join(folder, `${role}.json`);
const { appendFileSync, readFileSync, writeFileSync, openSync, writeSync, fsyncSync, renameSync } = fs;
const killProcess = process.kill.bind(process);

let plan: FaultPlan | undefined;
let count = 0;

/** One thing done to the outside. */
interface Point {
  readonly name: string;
  readonly path?: unknown;
  /** makes half of it, where half of it can be */
  readonly tear?: (() => void) | undefined;
}

function read(): FaultPlan | undefined {
  try {
    return JSON.parse(readFileSync(planFile, 'utf8')) as FaultPlan;
  } catch {
    return undefined;
  }
}

function arm(): void {
  plan = read();
  count = 0;
  if (plan !== undefined) {
    writeFileSync(join(folder, `${role}.armed.new`), String(process.pid));
    renameSync(join(folder, `${role}.armed.new`), join(folder, `${role}.armed`));
  }
}

function die(): never {
  for (const name of plan?.with ?? []) {
    try {
      killProcess(Number(readFileSync(join(folder, `${name}.pid`), 'utf8')), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  killProcess(process.pid, 'SIGKILL');
  for (;;) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  }
}

function notePid(): void {
  writeFileSync(join(folder, `${role}.pid`), String(process.pid));
}

/** It is said as a path, or as options with one. */
function placeOf(to: unknown): unknown {
  return typeof to === 'object' && to !== null && 'path' in to ? to.path : to;
}

/** Of several that are started at once one gets as far as the socket. */
function noteDaemon(point: Point): Point {
  if (role === 'daemon' && String(point.path).endsWith('.sock')) {
    notePid();
  }
  return point;
}

/** Takes the disk that is left, so that whatever comes next finds it full. */
function fill(path: string): void {
  const file = openSync(path, 'w', 0o600);
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 2)) {
    try {
      for (;;) {
        writeSync(file, Buffer.alloc(size, 1));
      }
    } catch {
      // This much no longer fits.
    }
  }
  fs.closeSync(file);
}

/** Node's own functions call one another, and so do ours: only the outermost is a point. */
let isInside = false;

/** Answers the fault that the caller of the point is to meet. */
function reach(point: Point): Error | undefined {
  if (plan === undefined || isInside) {
    return undefined;
  }
  isInside = true;
  try {
    return meet(point, plan);
  } finally {
    isInside = false;
  }
}

function meet({ name, path, tear }: Point, plan: FaultPlan): Error | undefined {
  count += 1;
  const label = `${name} ${typeof path === 'string' || path instanceof Uint8Array ? String(path) : ''}`.trim();
  appendFileSync(join(folder, `${role}.trace`), `${count} ${label}\n`);
  const isDue = plan.at === count || (plan.lasting === true && count >= plan.at);
  if (!isDue || (plan.only !== undefined && !label.includes(plan.only))) {
    return undefined;
  }
  // Of several daemons that were started one may come this far when the round is over: that one is to hurt nobody.
  if (read() === undefined) {
    return undefined;
  }
  const { act } = plan;
  if (act === 'tear' && tear === undefined) {
    return undefined;
  }
  appendFileSync(join(folder, 'hits'), `${role} ${count} ${act} ${label}\n`);
  switch (act) {
    case 'kill':
      return die();
    case 'tear':
      tear?.();
      return die();
    case 'fill':
      fill(plan.file ?? '');
      return undefined;
    case 'fail':
      return name.startsWith('fs.') ? Object.assign(new Error(`EIO: injected, ${name}`), { code: 'EIO' }) : undefined;
    case 'clock':
      shiftClock(plan.byMs ?? 0);
      return undefined;
  }
}

function shiftClock(byMs: number): void {
  const now = Date.now.bind(Date);
  const Real = Date;
  Date.now = () => now() + byMs;
  globalThis.Date = class extends Real {
    constructor(...given: []) {
      super(...(given.length === 0 ? ([Date.now()] as unknown as []) : given));
    }
  } as DateConstructor;
}

type Method = (this: unknown, ...given: unknown[]) => unknown;

function wrap(
  owner: object,
  method: string,
  point: (given: unknown[], self: unknown) => Point | undefined,
  kind: 'async' | 'sync' | 'callback',
): void {
  const methods = owner as Record<string, Method>;
  const real = methods[method];
  if (real === undefined) {
    return;
  }
  const wrapped: Method = function wrapped(...given) {
    const here = point(given, this);
    const fault = here === undefined ? undefined : reach(here);
    if (fault === undefined) {
      return real.apply(this, given);
    }
    if (kind === 'async') {
      return Promise.reject(fault);
    }
    const last = given.at(-1);
    if (kind === 'callback' && typeof last === 'function') {
      setImmediate(() => last(fault));
      return undefined;
    }
    throw fault;
  };
  methods[method] = Object.assign(wrapped, real);
}

const text = (value: unknown): value is string | Uint8Array => typeof value === 'string' || value instanceof Uint8Array;
const half = (value: string | Uint8Array): Buffer => Buffer.from(value).subarray(0, Math.floor(Buffer.from(value).length / 2));
const makes = (flags: unknown): boolean =>
  typeof flags === 'number' ? (flags & fs.constants.O_CREAT) !== 0 : typeof flags === 'string' && !/^rs?$/.test(flags);

function tearAt(fd: number, bytes: Buffer): void {
  writeSync(fd, bytes);
  fsyncSync(fd);
}

/** A small file is written in one go: what a kill leaves of it is an empty one. */
function tornFile(path: unknown, content: unknown): (() => void) | undefined {
  return text(path) && text(content) ? () => fs.closeSync(openSync(path as string, 'w', 0o600)) : undefined;
}

const paths = [
  'mkdir',
  'mkdtemp',
  'rename',
  'link',
  'symlink',
  'unlink',
  'rm',
  'rmdir',
  'chmod',
  'chown',
  'copyFile',
  'cp',
  'truncate',
  'appendFile',
  'utimes',
];
for (const name of paths) {
  const target = (given: unknown[]): unknown =>
    name === 'rename' || name === 'link' || name === 'copyFile' ? given[1] : given[0];
  wrap(fs.promises, name, (given) => ({ name: `fs.${name}`, path: target(given) }), 'async');
  wrap(fs, `${name}Sync`, (given) => ({ name: `fs.${name}Sync`, path: target(given) }), 'sync');
}
wrap(fs.promises, 'writeFile', ([path, content]) => ({ name: 'fs.writeFile', path, tear: tornFile(path, content) }), 'async');
wrap(fs, 'writeFileSync', ([path, content]) => ({ name: 'fs.writeFileSync', path, tear: tornFile(path, content) }), 'sync');
wrap(fs.promises, 'open', ([path, flags]) => (makes(flags) ? { name: 'fs.open', path } : undefined), 'async');
wrap(fs, 'openSync', ([path, flags]) => (makes(flags) ? { name: 'fs.openSync', path } : undefined), 'sync');
wrap(
  fs,
  'write',
  ([fd, bytes, from]) => ({
    name: 'fs.write',
    path: fs.readlinkSync(`/proc/self/fd/${String(fd)}`),
    tear: text(bytes) ? () => tearAt(fd as number, half(bytes.slice(Number(from)))) : undefined,
  }),
  'callback',
);

// The class of file handles is reached by opening one.
const handle = await fs.promises.open('/dev/null');
const handles = Object.getPrototypeOf(handle) as object;
await handle.close();
for (const name of ['write', 'writev', 'writeFile', 'appendFile', 'truncate', 'sync', 'datasync', 'chmod', 'chown']) {
  wrap(
    handles,
    name,
    ([content], self) => {
      const { fd } = self as { fd: number };
      const isWrite = name === 'writeFile' || name === 'write';
      return {
        name: `fs.handle.${name}`,
        path: fs.readlinkSync(`/proc/self/fd/${fd}`),
        tear: isWrite && text(content) ? () => void writeSync(fd, half(content)) : undefined,
      };
    },
    'async',
  );
}

wrap(
  DatabaseSync.prototype,
  'exec',
  ([sql]) => ({ name: 'sql.exec', path: String(sql).trim().slice(0, 40).replaceAll(/\s+/g, ' ') }),
  'sync',
);
wrap(
  StatementSync.prototype,
  'run',
  (_, self) => ({ name: 'sql.run', path: (self as StatementSync).sourceSQL.slice(0, 40) }),
  'sync',
);
wrap(net.Server.prototype, 'listen', ([to]) => noteDaemon({ name: 'listen', path: placeOf(to) }), 'sync');
wrap(net.Socket.prototype, 'write', () => ({ name: 'say' }), 'sync');
wrap(
  process,
  'kill',
  ([pid, signal]) => (signal === 0 ? undefined : { name: `signal ${String(signal)}`, path: String(pid) }),
  'sync',
);

const { spawn } = childProcess;
childProcess.spawn = ((file: string, ...rest: unknown[]) => {
  const words = [file, ...(Array.isArray(rest[0]) ? rest[0] : [])].join(' ').slice(0, 200);
  reach({ name: 'spawn', path: words });
  const child = (spawn as unknown as (...given: unknown[]) => childProcess.ChildProcess)(file, ...rest);
  reach({ name: 'spawned', path: words });
  return child;
}) as unknown as typeof spawn;

syncBuiltinESMExports();
if (role === 'caller') {
  notePid();
}
if (read()?.from === 'start') {
  arm();
}
process.on('SIGUSR2', arm);
