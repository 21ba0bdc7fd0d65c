/** A home of its own with the real program in it, and the means to let one of its processes fail at a chosen point. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { startAuthorizationServer, type AuthorizationServer } from '../../src/tour/authorization-server.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { pathsFrom, type Paths } from '../../src/system/paths.ts';
import { armChild, childCalls, disarmChild, placePrograms, type ChildFault } from './child-faults.ts';
import type { FaultPlan } from './fault-plan.ts';
import { makeProject, policyFor } from './project.ts';

export interface World {
  readonly root: string;
  readonly project: string;
  readonly paths: Paths;
  /** requests that reached the sink */
  readonly seen: readonly Seen[];
  readonly server: AuthorizationServer & { readonly lifeMs: number };
  /** Starts a command of the product and does not wait for it. */
  readonly start: (args: readonly string[], options?: StartOptions) => Started;
  readonly run: (args: readonly string[], options?: StartOptions) => Promise<Outcome>;
  /** Tells the process of this role what to do; a daemon that runs is told now, any other process when it starts. */
  readonly arm: (role: Role, plan: FaultPlan) => Promise<void>;
  /** Nothing goes wrong any more. */
  readonly disarm: () => void;
  /** the points that were hit since it was last disarmed */
  readonly hits: () => readonly string[];
  /** The next call of a program that the product starts dies at one of its system calls. */
  readonly armChild: (fault: ChildFault) => void;
  readonly childCalls: () => ReturnType<typeof childCalls>;
  /** commands that run */
  readonly callers: () => readonly number[];
  /** the daemon that runs */
  readonly daemonPid: () => number | undefined;
  /** As if nothing had ever run here; while no daemon does. */
  readonly forgetState: () => Promise<void>;
  /** labels of the points since it was armed */
  readonly trace: (role: Role) => readonly string[];
  /** Leaves the folder as it is, and nothing running. */
  readonly release: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

export interface Seen {
  /** holds the nonce of who asked */
  readonly path: string;
  readonly authorization: string;
}

export type Role = 'daemon' | 'caller';

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface Started {
  readonly pid: number;
  readonly kill: () => void;
  readonly out: () => string;
  readonly ended: Promise<Outcome>;
}

export interface Outcome {
  readonly args: readonly string[];
  /** `undefined`: it was killed */
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
  /** it hung and was ended by the harness */
  readonly late: boolean;
}

const hook = pathToFileURL(resolve(import.meta.dirname, 'hook.ts'));
export const entry = process.env['CASEMATE_TEST_ENTRY'] ?? resolve(import.meta.dirname, '../../src/cli/main.ts');
/** of an access token, seconds */
const lifeS = 2;
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface WorldOptions {
  /** parent of its folder; default: the temporary folder */
  readonly under?: string | undefined;
  /** where its state is, so that a small disk can be mounted there first */
  readonly prepareHome?: ((path: string) => Promise<void>) | undefined;
  readonly images?: string | undefined;
}

export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const root = await mkdtemp(join(options.under ?? tmpdir(), 'casemate-faults-'));
  const at = (name: string): string => join(root, name);
  for (const name of ['project', 'user', 'faults', 'tmp', 'bin']) {
    await mkdir(at(name));
  }
  await mkdir(at('casemate'), { mode: 0o700 });
  await options.prepareHome?.(at('casemate'));
  const seen: Seen[] = [];
  const sink = createServer((request, response) => {
    seen.push({ path: request.url ?? '', authorization: request.headers.authorization ?? '' });
    response.end('hello\n');
  });
  await new Promise<void>((done) => sink.listen(0, '127.0.0.1', done));
  const server = await startAuthorizationServer({ expiresIn: lifeS, graceMs: 60_000 });
  const uid = process.geteuid?.() ?? 0;
  const env = {
    PATH: `${at('bin')}:${usualPath}`,
    HOME: at('user'),
    LANG: 'C.UTF-8',
    TMPDIR: at('tmp'),
    CASEMATE_HOME: at('casemate'),
    CASEMATE_IMAGES: options.images ?? pathsFrom(environmentOf(process.env), uid).images,
    FAULT_KEY: 'key-of-the-variable-0123456789',
  };
  const paths = pathsFrom(environmentOf(env), uid);
  const writePolicy = async (): Promise<void> => {
    await mkdir(paths.config, { recursive: true, mode: 0o700 });
    await writeFile(join(paths.config, 'policy.yaml'), policyFor((sink.address() as AddressInfo).port), { mode: 0o600 });
  };
  await writePolicy();
  await makeProject(at('project'));
  await placePrograms(at('bin'), at('faults'));
  const faults = at('faults');
  const callers = new Set<number>();
  const start = starter({ project: at('project'), env, faults, callers });
  const world: World = {
    root,
    project: at('project'),
    paths,
    seen,
    server: { ...server, lifeMs: lifeS * 1000 },
    start,
    run: async (args, given) => await start(args, given).ended,
    arm: (role, plan) => arm(faults, role, plan),
    disarm: () => disarm(faults),
    hits: () => linesOf(join(faults, 'hits')),
    armChild: (fault) => armChild(faults, fault),
    childCalls: () => childCalls(faults),
    callers: () => [...callers],
    daemonPid: () => daemonPid(faults),
    async forgetState() {
      await Promise.all([paths.state, paths.runtime, paths.config].map((path) => rm(path, { recursive: true })));
      await writePolicy();
    },
    trace: (role) => linesOf(join(faults, `${role}.trace`)),
    async release() {
      disarm(faults);
      await world.run(['daemon', 'stop', '--force']);
      await closed(sink);
      await server.close();
    },
    async remove() {
      await world.release();
      await rm(root, { recursive: true, force: true });
    },
  };
  return world;
}

interface Starting {
  readonly project: string;
  readonly env: Readonly<Record<string, string>>;
  readonly faults: string;
  readonly callers: Set<number>;
}

function starter({ project, env, faults, callers }: Starting): World['start'] {
  const loaded = new URL(hook);
  loaded.searchParams.set('folder', faults);
  return (args, options = {}) => {
    const child = spawn(process.execPath, ['--import', loaded.href, entry, ...args], {
      cwd: project,
      env: { ...env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A terminal's own group is not ours.
      detached: true,
    });
    const pid = child.pid ?? 0;
    callers.add(pid);
    let [out, err, late] = ['', '', false];
    child.stdout.on('data', (piece: Buffer) => (out += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (err += piece.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? 40_000);
    const ended = new Promise<Outcome>((done) =>
      child.once('close', (code) => {
        clearTimeout(timer);
        callers.delete(pid);
        done({ args, code: code ?? undefined, out, err, late });
      }),
    );
    return { pid, kill: () => void child.kill('SIGKILL'), out: () => out, ended };
  };
}

async function arm(faults: string, role: Role, plan: FaultPlan): Promise<void> {
  for (const name of ['armed', 'trace']) {
    rmSync(join(faults, `${role}.${name}`), { force: true });
  }
  const pid = role === 'daemon' && plan.from === undefined ? daemonPid(faults) : undefined;
  if (role === 'daemon' && plan.from === undefined && pid === undefined) {
    throw new Error('there is no daemon to tell');
  }
  writeFileSync(join(faults, `${role}.json`), JSON.stringify(pid === undefined ? { ...plan, from: 'start' } : plan));
  if (pid !== undefined) {
    process.kill(pid, 'SIGUSR2');
    for (let round = 0; !existsSync(join(faults, `${role}.armed`)); round += 1) {
      if (round > 2000) {
        throw new Error('the daemon does not answer');
      }
      await sleep(5);
    }
  }
}

function disarm(faults: string): void {
  disarmChild(faults);
  for (const role of ['daemon', 'caller']) {
    rmSync(join(faults, `${role}.json`), { force: true });
  }
  const pid = daemonPid(faults);
  if (pid !== undefined) {
    process.kill(pid, 'SIGUSR2');
  }
  rmSync(join(faults, 'hits'), { force: true });
}

/** Of a process that still is what it was: its number may be another's by now. */
function daemonPid(faults: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(faults, 'daemon.pid'), 'utf8'));
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    const isOurs = words.includes(encodeURIComponent(faults)) && words.includes('serve');
    return isOurs && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}
