import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { privateFolder, readTextIfPresent } from '../../../system/files.ts';
import { run } from '../../../system/process.ts';
import { liveInit } from '../container.ts';
import { engineLayout, type EngineFolders, type EngineLayout } from '../folders.ts';
import { mountMap, rangeSize, rootMapping, slotBase, userMapping } from '../ids.ts';
import { killProcess, waitUntilGone } from '../processes.ts';
import { runtimeFailure } from '../runtime.ts';
import { seccompProfile, type Machine } from '../seccomp.ts';
import { startStage } from '../stage.ts';
import { enterLine, line, type Identity } from '../stage-plan.ts';
import { commandCall, platforms, startCommand, type GvisorChoice } from './gvisor-calls.ts';
import { gvisorProcesses } from './own-processes.ts';
import { probeProgram } from './probe-program.ts';
import { openFolder, sharedFile } from './sandbox-folder.ts';

/** What the installed gVisor can do here, found by starting it as a sandbox does, around a program of ours. */

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
      return await tried(host, { platform, filtersCommands: true, options: [...options.keys()] });
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

async function tried(host: ProbeHost, choice: GvisorChoice): Promise<GvisorFindings> {
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
    await openFolder(layout, id, 1024 * 1024 * 1024);
    await start(host, { id, folder: folder.folder, log: folder.log, rootfs, choice });
    return await look(host, id, choice);
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

async function start(host: ProbeHost, { id, folder, log, rootfs, choice }: Probe): Promise<void> {
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

/** Asks the program for what the seccomp list refuses: only a filter, or no such call, keeps it from getting that. */
async function look(host: ProbeHost, id: string, choice: GvisorChoice): Promise<GvisorFindings> {
  const layout = layoutOf(host);
  const keeper = await liveInit(layout, id);
  if (keeper === undefined) {
    throw new CasemateError('ENGINE_FAILED', "gVisor's kernel ended at once");
  }
  const { folder, processFile, executionPid } = layout.sandbox(id);
  await sharedFile(processFile('ask'), JSON.stringify(processOf(['/probe', 'ask'])));
  const { identity, env } = host;
  const place = { kind: identity.kind, folder, keeper: keeper.pid, id: identity.kind === 'root' ? slotBase(identity.slot) : 1 };
  const { file, args } = commandCall(id, place, { execution: 'ask', pidFile: executionPid('ask'), tty: false });
  const { exitCode, stderr } = await run(file, args, { env, timeoutMs: 20_000 });
  if (exitCode > 40) {
    throw runtimeFailure('runsc', 'exec', stderr.toString('utf8'));
  }
  const modes = await Promise.all((await gvisorProcesses(keeper)).map(filterMode));
  return { choice: { ...choice, filtersCommands: exitCode === 1 }, isFiltered: modes.every((mode) => mode === '2') };
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
