import { chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { allDone } from '../../base/all-done.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { isErrno, privateFolder, readTextIfPresent, writeDurably } from '../../system/files.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { Abortable } from '../engine.ts';
import { ociConfig, type Cgroup } from './bundle.ts';
import { limitSockets } from './cgroups.ts';
import { containerGroup, groupLine, newUnit } from './delegation.ts';
import type { EngineLayout } from './folders.ts';
import { fullDisk } from './full-disk.ts';
import { askForGracePeriod } from './grace-period.ts';
import { ensureHomeDisk, type HomeDisk } from './home-disk.ts';
import type { CgroupHost } from './host.ts';
import { agentId, fileServerId, rootMapping, userMapping, type IdMapping } from './ids.ts';
import type { Protection } from './protect.ts';
import type { EngineRecord } from './records.ts';
import { globalArgs, runtimeFailure, type RuntimeOptions } from './runtime.ts';
import type { Machine } from './seccomp.ts';
import { startStage, type Stage, type StageResult } from './stage.ts';
import { stagePlan, type Identity, type Owner } from './stage-plan.ts';
import { cgroupSteps } from './gvisor/cgroup-steps.ts';
import { startCommand, type GvisorChoice } from './gvisor/gvisor-calls.ts';
import { gvisorConfig } from './gvisor/gvisor-config.ts';
import { openFolder } from './gvisor/sandbox-folder.ts';

/** From a record to a container whose namespaces and mounts exist and whose first process, ours, sleeps. */

export interface ContainerHost {
  readonly layout: EngineLayout;
  readonly env: Readonly<Record<string, string>>;
  readonly machine: Machine;
  readonly stage: string;
  readonly cgroup: CgroupHost;
  readonly seccomp: boolean;
  /** the home gets a file system of its own, of limited size */
  readonly limitsHome: boolean;
  readonly identity: Identity;
  readonly runtime: RuntimeOptions;
  /** the sandbox gets a kernel of its own, started in this way */
  readonly gvisor: GvisorChoice | undefined;
}

/** exit code of `stage.pl` for its own failures */
const stageFailed = 97;

export interface MakeOptions extends Abortable {
  /** called as soon as the runtime is on its way: this process then has time for other things */
  readonly meanwhile?: (() => void) | undefined;
  /** started ahead for the next sandbox, whichever it is */
  readonly ready?: Stage | undefined;
}

export async function makeContainer(
  record: EngineRecord,
  protections: readonly Protection[],
  host: ContainerHost,
  { signal, meanwhile, ready }: MakeOptions,
): Promise<ProcessIdentity> {
  const { spec } = record;
  const { layout, runtime, stage } = host;
  const folder = layout.sandbox(spec.id);
  const group = groupFor(spec.id, host.cgroup);
  void askForGracePeriod();
  await rm(folder.folder, { recursive: true, force: true });
  await privateFolder(folder.bundle);
  await makeHome(spec.home);
  const [homeDisk, owners, coverFiles] = await allDone([
    homeDiskOf(record, host),
    ownersOf(record),
    covers(layout),
    mkdir(folder.executions, { mode: 0o700 }),
    privateFolder(runtime.root),
    writeFile(folder.config, JSON.stringify(configFor(record, host, group)), { mode: 0o600 }),
  ]);
  const creators = await creatorsOf(record, host);
  const facts = { stage, identity: host.identity, owners, creators, homeDisk, protections, covers: coverFiles };
  const plan = stagePlan(spec, { ...facts, runtime: creation(record, host, group) });
  const own = group?.unit === undefined ? '' : `${groupLine(group.controllers)}\n`;
  const maker = ready === undefined || ready.hasEnded() || group?.unit !== undefined ? newStage(host, group) : ready;
  const running = maker.carryOut(`${own}${plan}`, { signal });
  meanwhile?.();
  await requireMade(await running, host, spec.id);
  await limitSocketsApart(host.cgroup, group, spec.limits.memoryBytes);
  return rememberInit(host, spec.id);
}

async function requireMade({ exitCode, stderr }: StageResult, { layout, runtime }: ContainerHost, id: string): Promise<void> {
  if (exitCode === stageFailed) {
    throw stageFailure(stderr);
  }
  if (exitCode !== 0) {
    const { folder, log } = layout.sandbox(id);
    throw (await fullDisk(folder)) ?? runtimeFailure(runtime.name, 'run', (await readTextIfPresent(log)) ?? '');
  }
}

async function homeDiskOf({ spec }: EngineRecord, { layout, env, limitsHome }: ContainerHost): Promise<HomeDisk | undefined> {
  const { diskBytes: sizeBytes } = spec.limits;
  const { home: mountPoint } = layout.sandbox(spec.id);
  return limitsHome ? ensureHomeDisk(spec.home, { env, sizeBytes, mountPoint, blanks: layout.blanks }) : undefined;
}

interface Group extends Cgroup {
  /** the scope around it, made with the container */
  readonly unit?: string | undefined;
}

function groupFor(id: string, { controllers, swap, delegation }: CgroupHost): Group | undefined {
  if (controllers.length === 0) {
    return undefined;
  }
  const unit = delegation === undefined ? undefined : newUnit(id);
  const path = delegation === undefined || unit === undefined ? `/casemate/${id}` : containerGroup(delegation, unit);
  return { path, swap, controllers, unit };
}

/** Before anything of the image runs: the first process is ours. */
async function limitSocketsApart({ socketsApart }: CgroupHost, group: Group | undefined, memoryBytes: number): Promise<void> {
  if (socketsApart === true && group?.controllers.includes('memory') === true) {
    await limitSockets(group.path, memoryBytes);
  }
}

/** gVisor's file server makes the files, and gets at the sandbox's folder for that. */
async function creatorsOf({ spec }: EngineRecord, { layout, gvisor }: ContainerHost): Promise<readonly number[]> {
  if (gvisor === undefined) {
    return [agentId];
  }
  await openFolder(layout, { id: spec.id, memoryBytes: spec.limits.memoryBytes, choice: gvisor });
  return [agentId, fileServerId];
}

function newStage({ env, machine }: ContainerHost, group: Group | undefined): Stage {
  return startStage({ env, machine, unit: group?.unit });
}

function creation({ spec }: EngineRecord, host: ContainerHost, group?: Group): readonly string[] {
  const {
    layout,
    gvisor,
    runtime: { name, root, env },
  } = host;
  const { folder, log, bundle, pidFile } = layout.sandbox(spec.id);
  if (gvisor !== undefined) {
    const { machine, cgroup } = host;
    const isDelegated = group?.unit !== undefined;
    const steps = group === undefined ? [] : cgroupSteps(spec.limits, { ...group, isDelegated, layout: cgroup.layout });
    return startCommand(spec.id, { machine, folder, mapping: mappingOf(host), steps, choice: gvisor });
  }
  const runtime = { name, root, env, limitsMust: group?.unit !== undefined };
  // The first process is ours and does nothing, so it need not be held back: one call of the runtime in place of two.
  return [name, ...globalArgs(runtime, log), 'run', '--detach', '--bundle', bundle, '--pid-file', pidFile, spec.id];
}

function configFor({ spec }: EngineRecord, host: ContainerHost, cgroup: Group | undefined): object {
  const { machine, stage, seccomp, gvisor } = host;
  const config = ociConfig(spec, { machine, stage, seccomp, idMapping: mappingOf(host), cgroup });
  return gvisor === undefined ? config : gvisorConfig(config, spec);
}

function mappingOf({ identity }: ContainerHost): readonly IdMapping[] {
  return identity.kind === 'root' ? rootMapping(identity.slot) : userMapping(identity.subuid.count);
}

function stageFailure(text: string): CasemateError {
  const line = /casemate-stage: (.*)/.exec(text)?.[1] ?? text.trim().split('\n').at(-1) ?? '';
  return new CasemateError('ENGINE_FAILED', `cannot make the sandbox's mounts: ${visible(line)}`);
}

async function rememberInit({ layout, gvisor }: ContainerHost, id: string): Promise<ProcessIdentity> {
  const folder = layout.sandbox(id);
  if (gvisor !== undefined) {
    // `keep.pl` has written it down before anything began.
    return foundInit(await liveInit(layout, id));
  }
  const pid = Number((await readFile(folder.pidFile, 'utf8')).trim());
  const identity = foundInit(await identifyProcess(pid));
  await writeFile(folder.init, JSON.stringify(identity), { mode: 0o600 });
  return identity;
}

function foundInit(identity: ProcessIdentity | undefined): ProcessIdentity {
  if (identity === undefined) {
    throw new CasemateError('ENGINE_FAILED', 'the first process of the sandbox ended at once');
  }
  return identity;
}

/** The sandbox's first process while it lives. */
export async function liveInit(layout: EngineLayout, id: string): Promise<ProcessIdentity | undefined> {
  const text = await readTextIfPresent(layout.sandbox(id).init);
  if (text === undefined || text === '') {
    return undefined;
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('pid' in value) || !('startTicks' in value)) {
    return undefined;
  }
  const { pid, startTicks } = value;
  const identity = typeof pid === 'number' && typeof startTicks === 'string' ? { pid, startTicks } : undefined;
  return identity !== undefined && (await isSameProcess(identity)) ? identity : undefined;
}

/** A new home belongs to whoever owns the folder around it, so that files in it keep that owner. */
async function makeHome(home: string): Promise<void> {
  try {
    await mkdir(home, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) {
      return;
    }
    throw error;
  }
  const { uid, gid } = await stat(join(home, '..'));
  await chown(home, uid, gid);
}

async function ownersOf({ spec }: EngineRecord) {
  const [workspace, home, cover, ...files] = await Promise.all(
    [spec.workspace.path, spec.home, '/proc/self', ...spec.files.map(({ source }) => source)].map(ownerOf),
  );
  const nobody = { uid: 0, gid: 0 };
  return { workspace: workspace ?? nobody, home: home ?? nobody, cover: cover ?? nobody, files };
}

async function ownerOf(path: string): Promise<Owner> {
  const { uid, gid } = await stat(path);
  return { uid, gid };
}

/** Two small files shown in place of protected files that do not exist. */
async function covers(layout: EngineLayout): Promise<{ readonly empty: string; readonly json: string }> {
  const files = { empty: join(layout.covers, 'empty'), json: join(layout.covers, 'empty.json') };
  await privateFolder(layout.covers);
  if ((await readTextIfPresent(files.json)) !== '{}\n') {
    await writeDurably(files.empty, '', 0o444);
    await writeDurably(files.json, '{}\n', 0o444);
  }
  return files;
}
