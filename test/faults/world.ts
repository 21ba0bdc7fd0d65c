/** A home of its own with the real program in it, and the means to let one of its processes fail at a chosen point. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startAuthorizationServer, type AuthorizationServer } from '../helpers/authorization-server.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { pathsFrom, type Paths } from '../../src/system/paths.ts';
import { armChild, childCalls, disarmChild, placePrograms, type ChildFault } from './child-faults.ts';
import { starter, type Outcome, type StartCommand, type StartOptions } from './commands.ts';
import type { FaultPlan } from './fault-plan.ts';
import { ownAll, type OrdinaryUser } from './ordinary-user.ts';
import { makeProject, policyFor } from './project.ts';

export interface World {
  readonly root: string;
  readonly project: string;
  readonly paths: Paths;
  /** whose home it is */
  readonly uid: number;
  /** the same, where that is not who runs the harness */
  readonly user: OrdinaryUser | undefined;
  /** its sandboxes have groups with limits */
  readonly hasGroups: boolean;
  /** What was put into the home for its owner is the owner's. */
  readonly handOver: () => Promise<void>;
  /** requests that reached the sink */
  readonly seen: readonly Seen[];
  readonly server: AuthorizationServer & { readonly lifeMs: number };
  /** Starts a command of the product and does not wait for it. */
  readonly start: StartCommand;
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

export type { Outcome, Started } from './commands.ts';

export interface Seen {
  /** holds the nonce of who asked */
  readonly path: string;
  readonly authorization: string;
  /** Whether its bearer token was good when it came: the lives of tokens are short here. */
  readonly isLoggedIn: boolean;
}

export type Role = 'daemon' | 'caller';

/** of an access token, seconds */
const lifeS = 2;
/** One that was good when it was sent may arrive late. */
const underWayMs = 1500;
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface WorldOptions {
  /** parent of its folder; default: the temporary folder */
  readonly under?: string | undefined;
  /** where its state is, so that a small disk can be mounted there first */
  readonly prepareHome?: ((path: string) => Promise<void>) | undefined;
  readonly images?: string | undefined;
  /** who gives the commands, while the harness looks as root; default: this user */
  readonly user?: OrdinaryUser | undefined;
  /** of all sandboxes; what it lacks here is waived */
  readonly runtime?: 'runc' | 'runsc' | undefined;
}

export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const root = await mkdtemp(join(options.under ?? tmpdir(), 'casemate-faults-'));
  const at = (name: string): string => join(root, name);
  for (const name of ['project', 'user', 'faults', 'tmp', 'bin']) {
    await mkdir(at(name));
  }
  await mkdir(at('casemate'), { mode: 0o700 });
  await options.prepareHome?.(at('casemate'));
  const server = await startAuthorizationServer({ expiresIn: lifeS, leewayMs: underWayMs, graceMs: 60_000 });
  const seen: Seen[] = [];
  const sink = createServer(({ url: path = '', headers: { authorization = '' } }, response) => {
    seen.push({ path, authorization, isLoggedIn: server.accepts(authorization.replace(/^Bearer /, '')) });
    response.end('hello\n');
  });
  await new Promise<void>((done) => sink.listen(0, '127.0.0.1', done));
  const { user, runtime = 'runc' } = options;
  const uid = user?.uid ?? process.geteuid?.() ?? 0;
  const env = {
    PATH: `${at('bin')}:${usualPath}`,
    HOME: at('user'),
    LANG: 'C.UTF-8',
    TMPDIR: at('tmp'),
    CASEMATE_HOME: at('casemate'),
    CASEMATE_IMAGES: options.images ?? user?.images ?? pathsFrom(environmentOf(process.env), uid).images,
    FAULT_KEY: 'key-of-the-variable-0123456789',
  };
  const paths = pathsFrom(environmentOf(env), uid);
  const { port } = sink.address() as AddressInfo;
  const waive = new Set(['runtime-floor']);
  const handOver = async (): Promise<void> => await ownAll([at('user'), at('other'), paths.config], user);
  const writePolicy = async (): Promise<void> => {
    await mkdir(paths.config, { recursive: true, mode: 0o700 });
    await writeFile(join(paths.config, 'policy.yaml'), policyFor({ port, runtime, waive: [...waive] }), { mode: 0o600 });
    await handOver();
  };
  await makeProject(at('project'));
  await placePrograms(at('bin'), at('faults'));
  const faults = at('faults');
  // The checkout may lie where only root can go; and each process would read the types anew.
  const hook = join(faults, 'hook.mjs');
  await writeFile(hook, stripTypeScriptTypes(await readFile(join(import.meta.dirname, 'hook.ts'), 'utf8')));
  await ownAll([root], user);
  const callers = new Set<number>();
  const start = starter({ project: at('project'), env, hook, faults, callers, user });
  if (uid !== 0 || runtime !== 'runc') {
    const { out } = await start(['doctor', '--layers', '--runtime', runtime, '--json']).ended;
    missingLayers(out).forEach((layer) => waive.add(layer));
  }
  await writePolicy();
  const world: World = {
    root,
    uid,
    user,
    hasGroups: uid === 0,
    handOver,
    project: at('project'),
    paths,
    seen,
    server: { ...server, lifeMs: lifeS * 1000 + underWayMs },
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
    tell(pid);
  }
  rmSync(join(faults, 'hits'), { force: true });
}

/** It may end by itself just now. */
function tell(pid: number): void {
  try {
    process.kill(pid, 'SIGUSR2');
  } catch {
    // It has.
  }
}

function missingLayers(rows: string): readonly string[] {
  const checks = JSON.parse(rows) as readonly { check: string; verdict: string }[];
  return checks.filter(({ verdict }) => verdict === 'missing').map(({ check }) => check);
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
