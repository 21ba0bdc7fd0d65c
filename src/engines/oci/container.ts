import { mkdir, rm, writeFile } from 'node:fs/promises';

import { allDone } from '../../base/all-done.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { privateFolder, readTextIfPresent } from '../../system/files.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { Abortable, SandboxSpec } from '../engine.ts';
import { ociConfig, type Cgroup } from './bundle.ts';
import { limitSockets } from './cgroups.ts';
import { creatorsOf, ownerOfOurs, sandboxFacts, type Content, type ContentHost } from './content.ts';
import { containerGroup, groupLine, newUnit } from './delegation.ts';
import { liveInit, rememberInit } from './first-process.ts';
import { fullDisk } from './full-disk.ts';
import { askForGracePeriod } from './grace-period.ts';
import type { CgroupHost } from './host.ts';
import { cgroupSteps } from './gvisor/cgroup-steps.ts';
import { startCommand } from './gvisor/gvisor-calls.ts';
import { networkSteps } from './gvisor/network-steps.ts';
import { gvisorConfig } from './gvisor/gvisor-config.ts';
import { requireUnopened, startGvisor } from './gvisor/held-kernel.ts';
import { openFolder } from './gvisor/sandbox-folder.ts';
import { heldImage, holdBlank } from './home-disk.ts';
import { rootMapping, userMapping, type IdMapping } from './ids.ts';
import { mountsOf, requireMounts } from '../workspace/protections.ts';
import { globalArgs, runtimeFailure, type RuntimeOptions } from './runtime.ts';
import { outOfMemoryScore, socketBuffers } from '../kernel/limits.ts';
import type { Machine } from '../kernel/seccomp.ts';
import { startStage, type Stage, type StageResult } from './stage.ts';
import { containerPlan, heldPlan, sandboxPlan, wholePlan, type Identity } from './stage-plan.ts';

/** From a record to a container whose namespaces and mounts exist and whose first process, ours, sleeps. */

export interface ContainerHost extends ContentHost {
  readonly machine: Machine;
  readonly stage: string;
  readonly cgroup: CgroupHost;
  readonly seccomp: boolean;
  readonly runtime: RuntimeOptions;
  /** where root's groups are made, from the root of the hierarchy */
  readonly groups: string;
}

/** exit code of `stage.pl` for its own failures */
const stageFailed = 97;

/** A container on its way; where `held`, it is there and waits for its sandbox. */
export interface Begun {
  readonly host: ContainerHost;
  readonly identity: Identity;
  readonly stage: Stage;
  readonly group: Group | undefined;
  /** program and arguments of the runtime */
  readonly creation: readonly string[];
  /** beginning of the stage's plan where it is not given yet */
  readonly prelude: string;
  readonly held: boolean;
}

export interface BeginOptions {
  readonly identity: Identity;
  /** started ahead for the next sandbox, whichever it is */
  readonly ready?: Stage | undefined;
  /** make the container and wait with it for its sandbox */
  readonly hold?: boolean | undefined;
}

/**
 * gVisor shows a sandbox the mounts that were there when its first program began, and crun takes the container out of the
 * propagation of mounts unless told not to: for these everything is mounted first.
 */
function takesMountsLater({ name }: RuntimeOptions): boolean {
  return name === 'runc';
}

/** Whether a container can be made ahead: gVisor's kernel then waits before it opens a mount. Only root sees which it opened. */
export function canWait({ isRoot }: { readonly isRoot: boolean }, runtime: SandboxSpec['runtime']): boolean {
  return runtime === 'runc' || (runtime === 'runsc' && isRoot);
}

/** Writes the bundle and sets the runtime to work, as far as it can without what `finishContainer` is given. */
export async function beginContainer(
  spec: SandboxSpec,
  host: ContainerHost,
  { identity, ready, hold = false }: BeginOptions,
): Promise<Begun> {
  const { stage, runtime } = host;
  const group = groupFor(spec.id, host);
  await layOut(spec, host, { identity, group });
  const ahead = hold ? await heldFacts(spec, host) : undefined;
  const prelude = group?.unit === undefined ? '' : `${groupLine(group.controllers)}\n`;
  const maker = ready === undefined || ready.hasEnded() || group?.unit !== undefined ? newStage(host, group) : ready;
  const begun = {
    host,
    identity,
    stage: maker,
    group,
    creation: creationOf(spec, host, { identity, group, hold }),
    prelude,
    held: hold,
  };
  if (hold || takesMountsLater(runtime)) {
    void askForGracePeriod();
    const facts = { stage, identity, runtime: begun.creation };
    const plan = ahead === undefined ? containerPlan(spec, facts) : heldPlan(spec, { ...facts, ...ahead });
    maker.begin(`${prelude}${plan}`);
  }
  return begun;
}

/** What can be made before anybody asks: it has no name, nothing in it and no place yet. */
async function heldFacts({ id, limits }: SandboxSpec, { layout, gvisor, env, limitsHome }: ContainerHost) {
  const { pidFile, init, home: mountPoint } = layout.sandbox(id);
  const { blanks } = layout;
  const options = { env, sizeBytes: limits.diskBytes, mountPoint, blanks };
  const homeDisk = limitsHome ? await holdBlank(heldImage(blanks, id), options) : undefined;
  return { pidFile: gvisor === undefined ? pidFile : init, owner: await ownerOfOurs(), creators: creatorsOf(gvisor), homeDisk };
}

interface Placing {
  readonly identity: Identity;
  readonly group: Group | undefined;
}

interface Creating extends Placing {
  readonly hold: boolean;
}

/** Everything the runtime needs to begin. */
async function layOut(spec: SandboxSpec, host: ContainerHost, { identity, group }: Placing): Promise<void> {
  const { layout, runtime } = host;
  const folder = layout.sandbox(spec.id);
  await rm(folder.folder, { recursive: true, force: true });
  await privateFolder(folder.bundle);
  await allDone([
    mkdir(folder.executions, { mode: 0o700 }),
    mkdir(folder.workshop, { mode: 0o700 }),
    privateFolder(runtime.root),
    writeFile(folder.config, JSON.stringify(configFor(spec, host, { identity, group })), { mode: 0o600 }),
  ]);
  if (host.gvisor !== undefined) {
    await openFolder(layout, { id: spec.id, memoryBytes: spec.limits.memoryBytes, choice: host.gvisor });
  }
}

/** Mounts what is of this sandbox alone. Throws `ENGINE_FAILED` when the container does not show all of it. */
export async function finishContainer(begun: Begun, content: Content, { signal }: Abortable): Promise<ProcessIdentity> {
  const { host, stage, held, identity, prelude, creation } = begun;
  const { spec } = content.record;
  const facts = await sandboxFacts(host, identity, content);
  const isInTwo = held || takesMountsLater(host.runtime);
  const plan = isInTwo
    ? sandboxPlan(spec, facts, held ? (host.gvisor === undefined ? 'unnamed' : 'named') : 'none')
    : `${prelude}${wholePlan(spec, { ...facts, stage: host.stage, identity, runtime: creation })}`;
  await requireEnded(host, spec.id, await stage.carryOut(plan, { signal }));
  const init = held ? await liveInit(host.layout, spec.id) : await firstProcess(begun, spec);
  if (init === undefined) {
    throw endedAtOnce();
  }
  if (held && host.gvisor !== undefined) {
    await startGvisor(content.record, init, { layout: host.layout, env: host.env, choice: host.gvisor });
  } else if (isInTwo) {
    requireMounts(content.record, await mountsOf(init.pid));
  }
  return init;
}

/** What the runtime made for a sandbox to come. */
export async function heldContainer(begun: Begun, spec: SandboxSpec): Promise<ProcessIdentity> {
  const ended = await begun.stage.held();
  if (ended !== undefined) {
    await requireEnded(begun.host, spec.id, ended);
    throw endedAtOnce();
  }
  const init = await firstProcess(begun, spec);
  await (begun.host.gvisor === undefined ? undefined : requireUnopened(spec, init));
  return init;
}

/** Of a container that is there, and into which nothing of a sandbox has come yet. */
async function firstProcess({ host, group }: Begun, { id, limits }: SandboxSpec): Promise<ProcessIdentity> {
  await limitSocketsApart(host.cgroup, group, limits.memoryBytes);
  // gVisor's keeper has written it down before anything began.
  const init = await (host.gvisor === undefined ? rememberInit : liveInit)(host.layout, id);
  if (init === undefined) {
    throw endedAtOnce();
  }
  return init;
}

function endedAtOnce(): CasemateError {
  return new CasemateError('ENGINE_FAILED', 'the first process of the sandbox ended at once');
}

/** Throws what the stage, or its runtime, failed of. */
async function requireEnded({ layout, runtime }: ContainerHost, id: string, { exitCode, stderr }: StageResult): Promise<void> {
  if (exitCode === stageFailed) {
    throw stageFailure(stderr);
  }
  if (exitCode !== 0) {
    const { folder, log } = layout.sandbox(id);
    throw (await fullDisk(folder)) ?? runtimeFailure(runtime.name, 'run', (await readTextIfPresent(log)) ?? '');
  }
}

/** Ends what was begun; what it made so far is removed by its record. */
export async function abandon({ stage }: Begun): Promise<void> {
  await stage.carryOut('').catch(() => undefined);
}

interface Group extends Cgroup {
  /** the scope around it, made with the container */
  readonly unit?: string | undefined;
}

function groupFor(id: string, { cgroup, groups }: ContainerHost): Group | undefined {
  const { controllers, swap, delegation } = cgroup;
  if (controllers.length === 0) {
    return undefined;
  }
  const unit = delegation === undefined ? undefined : newUnit(id);
  const path = delegation === undefined || unit === undefined ? `${groups}/${id}` : containerGroup(delegation, unit);
  return { path, swap, controllers, unit };
}

/** Before anything of the image runs: the first process is ours. */
async function limitSocketsApart({ socketsApart }: CgroupHost, group: Group | undefined, memoryBytes: number): Promise<void> {
  if (socketsApart === true && group?.controllers.includes('memory') === true) {
    await limitSockets(group.path, memoryBytes);
  }
}

function newStage({ env, machine }: ContainerHost, group: Group | undefined): Stage {
  return startStage({ env, machine, unit: group?.unit });
}

function creationOf(spec: SandboxSpec, host: ContainerHost, { identity, group, hold }: Creating): readonly string[] {
  const {
    layout,
    gvisor,
    runtime: { name, root, env },
  } = host;
  const { folder, log, bundle, pidFile } = layout.sandbox(spec.id);
  if (gvisor !== undefined) {
    const { machine, cgroup } = host;
    const isDelegated = group?.unit !== undefined;
    const groups = group === undefined ? [] : cgroupSteps(spec.limits, { ...group, isDelegated, layout: cgroup.layout });
    const steps = [...groups, `write:/proc/self/oom_score_adj:${outOfMemoryScore}`, ...networkSteps(socketBuffers)];
    return startCommand(spec.id, { machine, folder, mapping: mappingOf(identity), steps, choice: gvisor, hold });
  }
  const runtime = { name, root, env, limitsMust: group?.unit !== undefined };
  // The first process is ours and does nothing, so it need not be held back: one call of the runtime in place of two.
  return [name, ...globalArgs(runtime, log), 'run', '--detach', '--bundle', bundle, '--pid-file', pidFile, spec.id];
}

function configFor(spec: SandboxSpec, host: ContainerHost, { identity, group: cgroup }: ConfigFacts): object {
  const { machine, stage, seccomp, gvisor } = host;
  const config = ociConfig(spec, { machine, stage, seccomp, idMapping: mappingOf(identity), cgroup });
  return gvisor === undefined ? config : gvisorConfig(config, spec);
}

interface ConfigFacts {
  readonly identity: Identity;
  readonly group: Cgroup | undefined;
}

function mappingOf(identity: Identity): readonly IdMapping[] {
  return identity.kind === 'root' ? rootMapping(identity.slot) : userMapping(identity.subuid.count);
}

/** Of two sandboxes with one answer, one can be made of the other's container. */
export function kindOfContainer(spec: SandboxSpec, host: ContainerHost, identity: Identity): string {
  const { owner, rootfs, limits, files, ports, workspace } = spec;
  const anyone = identity.kind === 'root' ? { ...identity, slot: 0 } : identity;
  // What it is made from, in place of what is made of that: the latter takes longer than to read all of the former.
  return JSON.stringify([owner, rootfs, limits, ports, workspace.mode, files.map(({ target }) => target), anyone, host]);
}

function stageFailure(text: string): CasemateError {
  const line = /casemate-stage: (.*)/.exec(text)?.[1] ?? text.trim().split('\n').at(-1) ?? '';
  return new CasemateError('ENGINE_FAILED', `cannot make the sandbox's mounts: ${visible(line)}`);
}
