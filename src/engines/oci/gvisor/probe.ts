import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { privateFolder, readTextIfPresent } from '../../../system/files.ts';
import { run } from '../../../system/process.ts';
import { liveInit } from '../first-process.ts';
import { engineLayout, type EngineFolders, type EngineLayout } from '../folders.ts';
import { mountMap, rangeSize, rootMapping, slotBase, userMapping } from '../ids.ts';
import { killProcess, waitUntilGone } from '../../processes.ts';
import { runtimeFailure } from '../runtime.ts';
import { seccompProfile, type Machine } from '../../kernel/seccomp.ts';
import { startStage } from '../stage.ts';
import { enterLine, line, type Identity } from '../stage-plan.ts';
import { commandCall, platforms, startCommand, type GvisorChoice } from './gvisor-calls.ts';
import { gvisorProcesses } from './own-processes.ts';
import { probeProgram } from './probe-program.ts';
import { openFolder, sharedFile } from './sandbox-folder.ts';

/** What the installed gVisor can do here, found by starting it as for a sandbox, around a program of ours. */

export interface ProbeHost {
  readonly machine: Machine;
  readonly stage: string;
  readonly identity: Identity;
  readonly folders: EngineFolders;
  readonly env: Readonly<Record<string, string>>;
}

export interface GvisorFindings {
  readonly choice: GvisorChoice;
  /** every process of gVisor is held by a filter on this host */
  readonly isFiltered: boolean;
}

/** Throws `ENGINE_FAILED` with what gVisor said where no way of running programs works. */
export async function probeGvisor(host: ProbeHost): Promise<GvisorFindings> {
  const options = await offered(host);
  const names = options.get('platform') ?? '';
  const possible = platforms.filter((name) => new RegExp(`\\b${name}\\b`).test(names));
  let fault: unknown = new CasemateError('ENGINE_FAILED', `runsc offers none of ${platforms.join(', ')}`);
  for (const platform of possible) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the first that works
      return await tried(host, { platform, options: [...options.keys()] });
    } catch (error) {
      fault = error;
    }
  }
  throw fault;
}

/** Its options with what is said of each: a name after a dash, the text in the line below. */
async function offered({ env }: ProbeHost): Promise<ReadonlyMap<string, string>> {
  const { stdout, stderr } = await run('runsc', ['flags'], { env, timeoutMs: 10_000 });
  const text = `${stdout.toString('utf8')}${stderr.toString('utf8')}`;
  return new Map([...text.matchAll(/^ {2}-([\w-]+).*\n\s*(.*)$/gm)].map(([, name = '', about = '']) => [name, about]));
}

type Start = Pick<GvisorChoice, 'platform' | 'options'>;

async function tried(host: ProbeHost, start: Start): Promise<GvisorFindings> {
  const id = `probe-${randomBytes(6).toString('hex')}`;
  const layout = layoutOf(host);
  const folder = layout.sandbox(id);
  try {
    await privateFolder(folder.bundle);
    await mkdir(folder.executions);
    const rootfs = join(folder.folder, 'rootfs');
    await mkdir(rootfs);
    await writeFile(join(rootfs, 'probe'), probeProgram(host.machine));
    await Promise.all([chmod(rootfs, 0o755), chmod(join(rootfs, 'probe'), 0o755)]);
    await writeFile(folder.config, JSON.stringify(configOf(host)));
    const choice = { ...start, filtersCommands: true, refusesAutomountFlag: false };
    await openFolder(layout, { id, memoryBytes: 1024 * 1024 * 1024, choice });
    await begin(host, { id, folder: folder.folder, log: folder.log, rootfs, choice });
    return await look(host, id, start);
  } finally {
    await end(host, id);
    await rm(folder.folder, { recursive: true, force: true });
  }
}

/** Apart from the sandboxes. A probe that is killed ends by itself, and its folder goes with the runtime's others. */
function layoutOf({ folders }: ProbeHost): EngineLayout {
  return engineLayout({ ...folders, run: join(folders.run, 'probes') });
}

interface Probe {
  readonly id: string;
  readonly folder: string;
  readonly log: string;
  readonly rootfs: string;
  readonly choice: GvisorChoice;
}

async function begin(host: ProbeHost, { id, folder, log, rootfs, choice }: Probe): Promise<void> {
  const { env, machine, identity, stage } = host;
  const mapping = identity.kind === 'root' ? rootMapping(identity.slot) : userMapping(identity.subuid.count);
  const map = identity.kind === 'root' ? [mountMap(0, slotBase(identity.slot), rangeSize)] : [];
  const plan = [
    enterLine(identity),
    line('stage', stage),
    line('tree', '.', rootfs, 'r', ...map, ...map),
    line('build'),
    line('become', ...startCommand(id, { machine, folder, mapping, steps: [], choice })),
    '',
  ];
  const { exitCode, stderr } = await startStage({ env, machine }).carryOut(plan.join('\n'));
  if (exitCode !== 0) {
    throw runtimeFailure('runsc', 'run', stderr === '' ? ((await readTextIfPresent(log)) ?? '') : stderr);
  }
}

const processOf = (args: readonly string[]): object => ({
  terminal: false,
  user: { uid: 1000, gid: 1000 },
  args,
  env: [],
  cwd: '/',
  capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
  noNewPrivileges: true,
});

function configOf({ machine, stage }: ProbeHost): object {
  return {
    ociVersion: '1.0.2',
    process: processOf(['/probe']),
    root: { path: stage, readonly: false },
    hostname: 'probe',
    linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }], seccomp: seccompProfile(machine) },
  };
}

/** Asks the program for what only a filter, or no such call, keeps it from getting. */
async function look(host: ProbeHost, id: string, start: Start): Promise<GvisorFindings> {
  const keeper = await liveInit(layoutOf(host), id);
  if (keeper === undefined) {
    throw new CasemateError('ENGINE_FAILED', "gVisor's kernel ended at once");
  }
  const namespace = await errorOf(host, { id, keeper: keeper.pid, args: ['/probe', 'namespace'] });
  const flag = await errorOf(host, { id, keeper: keeper.pid, args: ['/probe', 'a', 'flag'] });
  const modes = await Promise.all((await gvisorProcesses(keeper)).map(filterMode));
  return {
    choice: { ...start, filtersCommands: namespace === EPERM, refusesAutomountFlag: flag === EINVAL },
    isFiltered: modes.every((mode) => mode === '2'),
  };
}

const EPERM = 1;
const EINVAL = 22;

interface Question {
  readonly id: string;
  readonly keeper: number;
  readonly args: readonly string[];
}

/** What the program in the sandbox ends with. */
async function errorOf(host: ProbeHost, { id, keeper, args: asked }: Question): Promise<number> {
  const { identity, env } = host;
  const { folder, processFile, executionPid } = layoutOf(host).sandbox(id);
  const execution = `ask-${asked.length}`;
  await sharedFile(processFile(execution), JSON.stringify(processOf(asked)));
  const place = { kind: identity.kind, folder, keeper, id: identity.kind === 'root' ? slotBase(identity.slot) : 1 };
  const { file, args } = commandCall(id, place, { execution, pidFile: executionPid(execution), tty: false });
  const { exitCode, stderr } = await run(file, args, { env, timeoutMs: 20_000 });
  if (exitCode > 40) {
    throw runtimeFailure('runsc', 'exec', stderr.toString('utf8'));
  }
  return exitCode;
}

async function filterMode(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return /^Seccomp:\s*(\d)/m.exec(status)?.[1];
}

async function end(host: ProbeHost, id: string): Promise<void> {
  const keeper = await liveInit(layoutOf(host), id);
  if (keeper !== undefined) {
    killProcess(keeper.pid);
    await waitUntilGone(keeper, 10_000);
  }
}
