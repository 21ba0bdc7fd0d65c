import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { cleanupStack } from '../../base/cleanup.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { readForwards } from '../../journal/read-records.ts';
import type { JournalRecord } from '../../journal/record.ts';
import { listSegments } from '../../journal/segments.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { removeTree } from '../../system/remove-tree.ts';
import { dataFile } from '../../system/data-file.ts';
import { privateFolder } from '../../system/files.ts';
import { run, spawnProcess } from '../../system/process.ts';
import type { Inside } from '../target.ts';
import type { CasemateOptions, Lab, LabDaemon, LabPlaces, LabSandbox, OpenProgram } from './lab.ts';
import { hosts } from './hosts.ts';
import { makeSandbox } from './lab-sandbox.ts';
import { markUsed, proofFolder } from './leftovers.ts';
import { giveToAgent } from './own-folder.ts';
import { startWorld, type StartedWorld } from './start-world.ts';
import { twinPolicy } from './twin-policy.ts';

/** Makes a lab in a new private folder, starts its daemon and a twin of the sandbox that a plan describes. */
export interface LabOptions {
  readonly plan: Plan;
  /** file and first arguments that start this program, e.g. `['/usr/bin/node', '/…/casemate.js']` */
  readonly program: readonly [string, ...string[]];
  /** what a user has on the PATH instead, which goes another way for a plain `exec`; absent where the program was not built */
  readonly launcher?: string | undefined;
  /** flags of Node that a daemon is started with */
  readonly daemonFlags: readonly string[];
  /** of the host; what the lab's programs get beside their own */
  readonly env: Readonly<Record<string, string>>;
  /** where the images are */
  readonly images: string;
}

export async function startLab(options: LabOptions): Promise<Lab> {
  const cleanup = cleanupStack();
  try {
    const folder = await proofFolder();
    cleanup.add('remove the folder of the lab', () => removeTree(folder));
    const world = await startWorld();
    cleanup.add('close the servers of the lab', () => world.close());
    const base = await furnish(folder, options, world);
    cleanup.add('stop the daemon of the lab', () => base.daemon.stop());
    await base.daemon.start();
    return await inhabit(base, () => cleanup.run());
  } catch (error) {
    await cleanup.run().catch(() => undefined);
    throw error;
  }
}

type Base = Omit<Lab, 'twin' | 'peer' | 'make' | 'remove'>;

async function furnish(folder: string, options: LabOptions, world: StartedWorld): Promise<Base> {
  const root = join(folder, 'casemate');
  const places: LabPlaces = { state: join(root, 'state'), config: join(root, 'config'), runtime: join(root, 'run') };
  const canaries = await plantCanaries(folder);
  const certificate = join(folder, 'authority.pem');
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  await privateFolder(root);
  await privateFolder(places.config);
  await writeFile(certificate, world.trustedPem);
  const tools = await plantTools(folder, options.env);
  const { keyFile: canaryFile, rotatingFile, signingFile } = canaries;
  const policy = twinPolicy(options.plan, {
    canaryFile,
    rotatingFile,
    signingFile,
    ports: world.ports,
    hasRegistry: tools !== undefined,
  });
  await writeFile(join(places.config, 'policy.yaml'), policy, { mode: 0o600 });
  const env = {
    ...options.env,
    ...(tools === undefined ? {} : { PATH: `${tools}:${options.env['PATH'] ?? ''}` }),
    HOME: home,
    CASEMATE_HOME: root,
    CASEMATE_IMAGES: options.images,
    NODE_EXTRA_CA_CERTS: certificate,
  };
  const casemate = commandLine(options, { folder, env });
  const daemon = labDaemon({ options, folder, world, env, casemate });
  return {
    folder,
    env,
    places,
    casemate,
    open: (args) => openProgram(options.program, args, { cwd: folder, env }),
    daemon,
    world,
    canaries,
    hasRegistry: tools !== undefined,
    give: (given) => giveToAgent(given, options.plan),
    records: () => readAll(places),
  };
}

/** Goes both ways into a sandbox: that of the launcher with `exec`, the program's own with everything else. */
function commandLine(
  { program, launcher }: LabOptions,
  { folder, env }: { readonly folder: string; readonly env: Lab['env'] },
): Lab['casemate'] {
  // Where it needs Node, it is to find this one.
  const launcherEnv = { ...env, PATH: `${dirname(program[0])}:${env['PATH'] ?? ''}` };
  return async (args, call = {}) => {
    const [way, own] = launcher !== undefined && args[0] === 'exec' ? [[launcher] as const, launcherEnv] : [program, env];
    return await runProgram(way, args, { ...call, cwd: call.cwd ?? folder, env: { ...own, ...call.env } });
  };
}

async function plantCanaries(folder: string) {
  // Signs that programs escape, each in its own way; no quotes, which no header takes well.
  const key = `cmcanary${randomBytes(16).toString('hex')}/+&<~${randomBytes(16).toString('hex')}`;
  const hostText = `host canary ${randomBytes(16).toString('hex')}\n`;
  const rotating = `cmcanary${randomBytes(24).toString('hex')}`;
  const signingId = `AKIA${randomBytes(8).toString('hex').toUpperCase()}`;
  const signing = { secret: `cmcanary${randomBytes(16).toString('hex')}`, token: `cmcanary${randomBytes(48).toString('hex')}` };
  const signingFile = join(folder, 'signing.key');
  const keyFile = join(folder, 'canary.key');
  const rotatingFile = join(folder, 'rotating.key');
  const hostFile = join(folder, 'host-canary');
  await writeFile(keyFile, key, { mode: 0o600 });
  await writeFile(rotatingFile, rotating, { mode: 0o600 });
  await writeFile(signingFile, `${signingId}:${signing.secret}:${signing.token}`, { mode: 0o600 });
  await writeFile(hostFile, hostText, { mode: 0o644 });
  const mark = join(folder, 'executed-on-the-host');
  return { key, keyFile, rotating, rotatingFile, signingId, signing, signingFile, hostFile, hostText, mark };
}

/**
 * Stands in for the program that says where packages come from, and keeps the question after that host from the host's
 * own resolver. `undefined`: nothing in a temporary folder can be run here.
 */
async function plantTools(folder: string, env: LabOptions['env']): Promise<string | undefined> {
  const tools = join(folder, 'tools');
  await mkdir(tools, { mode: 0o700 });
  const npm = `#!/bin/sh\necho '{ "registry": "https://${hosts.registry}/" }'\n`;
  const getent = `#!/bin/sh\ncase "$2" in *.proof.test) exit 2 ;; esac\nPATH='${env['PATH'] ?? ''}' exec getent "$@"\n`;
  await writeFile(join(tools, 'npm'), npm, { mode: 0o700 });
  await writeFile(join(tools, 'getent'), getent, { mode: 0o700 });
  const tried = await run(join(tools, 'npm'), [], { env: { ...env }, timeoutMs: 5000 }).catch(() => undefined);
  return tried?.exitCode === 0 ? tools : undefined;
}

function openProgram(
  [file, ...first]: LabOptions['program'],
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Lab['env'] },
): OpenProgram {
  const child = spawnProcess(file, [...first, ...args], { cwd, env: { ...env }, stdio: ['pipe', 'pipe', 'ignore'] });
  if (child.stdout === null || child.stdin === null) {
    throw new CasemateError('ENGINE_FAILED', 'a program of the lab has no streams');
  }
  return { from: child.stdout, to: child.stdin, end: () => void child.kill('SIGTERM') };
}

async function runProgram(program: LabOptions['program'], args: readonly string[], call: CasemateOptions): Promise<Inside> {
  const { cwd, env, input, timeoutMs = 120_000 } = call;
  const [file = '', ...rest] = [...(call.through ?? []), ...starter(call), ...program, ...args];
  const { exitCode, stdout, stderr } = await run(file, rest, { cwd, env: { ...env }, input, timeoutMs });
  return { code: exitCode, out: stdout, err: stderr };
}

function starter({ atTerminal = false, leftOpen }: CasemateOptions): readonly string[] {
  return atTerminal || leftOpen !== undefined
    ? ['perl', dataFile('proof/outside/start.pl'), atTerminal ? '40x120' : '-', leftOpen ?? '-']
    : [];
}

interface DaemonParts {
  readonly options: LabOptions;
  readonly folder: string;
  readonly world: StartedWorld;
  readonly env: Readonly<Record<string, string>>;
  readonly casemate: Lab['casemate'];
}

function labDaemon({ options, folder, world, env, casemate }: DaemonParts): LabDaemon {
  const pid = async (): Promise<number> => {
    const { out } = await casemate(['daemon', 'status', '--json']);
    // oxlint-disable-next-line no-unsafe-type-assertion -- what this very program prints
    const { daemon } = JSON.parse(out.toString('utf8')) as { readonly daemon: { readonly pid: number } | null };
    return daemon?.pid ?? 0;
  };
  return {
    pid,
    async start() {
      const [file, ...first] = options.program;
      const args = [
        ...options.daemonFlags,
        ...first,
        'daemon',
        'serve',
        '--resolver',
        world.resolverAddress,
        '--lab-hosts',
        '--while-open',
      ];
      // It ends, with its sandboxes, when this process does, however that ends: then nobody holds the other end of its input.
      const child = spawnProcess(file, args, { cwd: '/', detached: true, env, stdio: ['pipe', 'ignore', 'pipe'] });
      child.stdin?.on('error', () => undefined);
      await markUsed(folder, child.pid ?? 0);
      let said = '';
      child.stderr?.on('data', (piece: Buffer) => (said = `${said}${piece.toString('utf8')}`.slice(-2000)));
      child.unref();
      for (let tries = 0; tries < 100; tries += 1) {
        // oxlint-disable-next-line no-await-in-loop -- waiting is the point
        if ((await pid()) !== 0) {
          return;
        }
        // oxlint-disable-next-line no-await-in-loop -- as above
        await sleep(25);
      }
      throw new CasemateError('DAEMON_UNREACHABLE', `the daemon of the lab did not start: ${visible(said.slice(-300))}`);
    },
    async stop() {
      await casemate(['daemon', 'stop', '--force']);
    },
  };
}

async function readAll({ state }: LabPlaces): Promise<readonly JournalRecord[]> {
  const records: JournalRecord[] = [];
  for await (const { record } of readForwards(await listSegments(join(state, 'journal')))) {
    if (record !== undefined) {
      records.push(record);
    }
  }
  return records;
}

async function inhabit(base: Base, end: () => Promise<unknown>): Promise<Lab> {
  const made: LabSandbox[] = [];
  const relays: (() => void)[] = [];
  const make: Lab['make'] = async (name, { start = true, limits } = {}) => {
    const sandbox = await makeSandbox(base, { name, start, limits, onEnd: (close) => relays.push(close) });
    made.push(sandbox);
    return sandbox;
  };
  const twin = await make('twin');
  let peer: Promise<LabSandbox> | undefined;
  return {
    ...base,
    twin,
    async peer() {
      const found = await (peer ??= make('peer'));
      // A probe before may have ended it, with the daemon for example. One that runs stays as it is.
      await base.casemate(['start', found.name]);
      return found;
    },
    make,
    async remove() {
      relays.forEach((close) => close());
      for (const { name } of made) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await base.casemate(['destroy', name, '--confirm', name]).catch(() => undefined);
      }
      await end();
    },
  };
}
