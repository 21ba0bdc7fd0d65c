import type { LayerName } from '../../base/layers.ts';
import { CasemateError } from '../../base/errors.ts';
import { privateFolder, readTextIfPresent } from '../../system/files.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { Spawn } from '../../system/process.ts';
import type { Abortable, IngressPorts, LayerReport, SandboxSpec } from '../engine.ts';
import type { ContainerHost } from './container.ts';
import { examineHost } from './examine.ts';
import { engineLayout, type EngineFolders, type EngineLayout } from './folders.ts';
import { examineDelegation, isDelegated } from './delegation.ts';
import { cgroupHost, machineOf, stageFolder, subordinateRange, type CgroupHost } from './host.ts';
import { probeGvisor, type GvisorFindings } from './gvisor/probe.ts';
import { startListener, type BoundIngress, type BoundPorts, type Listener } from '../listen.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { readyPlace, type ReadyPlace, type ReadyTimes } from './ready-place.ts';
import { engineRecords, type Records } from '../records.ts';
import type { RuntimeOptions } from './runtime.ts';
import type { Machine } from '../kernel/seccomp.ts';
import { idSlots, type Slots } from './slots.ts';
import { startStage, type Stage } from './stage.ts';
import { groupOfAll } from './together.ts';
import type { Identity, Range } from './stage-plan.ts';

/** What every step of the engine works with, and the facts of the host that a container is made from. */

export interface OciEngineOptions {
  readonly folders: EngineFolders;
  /** whole environment of every program the engine starts */
  readonly env: Readonly<Record<string, string>>;
  readonly user: EngineUser;
  readonly arch?: string | undefined;
  readonly spawn?: Spawn | undefined;
  /** Parts for the next sandbox are made when one has gone; `close` ends them. */
  readonly prepares?: boolean | undefined;
  /** other times than usual for containers that wait */
  readonly times?: ReadyTimes | undefined;
  /** folders with the records of other engines of this installation */
  readonly beside?: readonly string[] | undefined;
}

export interface EngineUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

export interface EngineContext extends Omit<OciEngineOptions, 'beside'> {
  readonly isRoot: boolean;
  readonly layout: EngineLayout;
  readonly records: Records;
  readonly beside: readonly Records[];
  readonly slots: Slots;
  readonly exclusive: ReturnType<typeof oneAtATime>;
  /** by sandbox: started with it, until its ingress is asked for */
  readonly listeners: Map<string, Listener>;
  /** by sandbox: bound before anybody asked for it, until its ingress is asked for */
  readonly bound: Map<string, BoundPorts>;
  /** started ahead for the next sandbox */
  readonly ahead: { stage: Stage | undefined };
  readonly place: ReadyPlace;
  /** Work that nobody waits for but `close`; what fails of it is done without. */
  readonly behind: (work: Promise<unknown>) => void;
  readonly settled: () => Promise<void>;
  /** by runtime: answers that do not change while this process runs */
  readonly reports: Map<string, Promise<readonly LayerReport[]>>;
  /** where groups of processes with limits can be made; asked for anew with each examination of the host */
  readonly cgroups: { known: Promise<CgroupHost> | undefined };
  /** whose sandboxes are limited together, once they are */
  readonly together: { owner: string | undefined };
  /** what the installed gVisor can do here; asked for anew with each examination of `runsc` */
  readonly gvisor: { known: Promise<GvisorFindings> | undefined };
}

export function engineContext(options: OciEngineOptions): EngineContext {
  const layout = engineLayout(options.folders);
  const records = engineRecords(layout.records);
  const background = new Set<Promise<unknown>>();
  return {
    ...options,
    env: withRuntimeFolder(options),
    isRoot: options.user.uid === 0,
    layout,
    records,
    beside: (options.beside ?? []).map(engineRecords),
    slots: idSlots(layout.slots, async (id) => (await records.read(id)) !== undefined),
    exclusive: oneAtATime(),
    listeners: new Map(),
    bound: new Map(),
    ahead: { stage: undefined },
    place: readyPlace(),
    behind(work) {
      const done = work.catch(() => undefined).finally(() => background.delete(done));
      background.add(done);
    },
    async settled() {
      await Promise.all(background);
    },
    reports: new Map(),
    cgroups: { known: undefined },
    together: { owner: undefined },
    gvisor: { known: undefined },
  };
}

/** systemd-run finds the user's own systemd by this variable, which `su` and some remote logins leave out. */
function withRuntimeFolder({ env, user }: OciEngineOptions): Readonly<Record<string, string>> {
  return user.uid === 0 ? env : { XDG_RUNTIME_DIR: `/run/user/${user.uid}`, ...env };
}

/** Asked once, and again when the host is examined: a login session may have given what was missing. */
export async function cgroupsOf({ cgroups, user, env }: EngineContext, { again = false } = {}): Promise<CgroupHost> {
  if (again || cgroups.known === undefined) {
    cgroups.known = cgroupHost({ uid: user.uid, delegate: () => examineDelegation({ env }) });
  }
  return await cgroups.known;
}

export function prepareListener(context: EngineContext, id: string): void {
  context.listeners.set(id, newListener(context));
}

/** The one that was started for this sandbox, if it still lives. */
export function takeListener(context: EngineContext, id: string): Listener {
  const own = context.listeners.get(id);
  context.listeners.delete(id);
  return own === undefined || own.hasEnded() ? newListener(context) : own;
}

/** Those that were bound with its container, if they are these; others are closed. */
export async function takeBound(context: EngineContext, id: string, ports: IngressPorts): Promise<BoundIngress | undefined> {
  const own = context.bound.get(id);
  if (own !== undefined && JSON.stringify(own.ports) === JSON.stringify(ports)) {
    context.bound.delete(id);
    return own.ingress;
  }
  await dropBound(context, id);
  return undefined;
}

async function dropBound({ bound }: EngineContext, id: string): Promise<void> {
  const own = bound.get(id);
  bound.delete(id);
  await own?.ingress.close();
}

export async function dropListener(context: EngineContext, id: string): Promise<void> {
  const { listeners } = context;
  listeners.get(id)?.end();
  listeners.delete(id);
  await dropBound(context, id);
}

/** Where each sandbox gets a scope the program starts in that, and cannot be started before. */
export async function prepareStage(context: EngineContext): Promise<void> {
  const { ahead, env, arch = process.arch, spawn } = context;
  const { delegation } = await cgroupsOf(context);
  if (delegation === undefined && (ahead.stage === undefined || ahead.stage.hasEnded())) {
    ahead.stage = startStage({ env, machine: arch, spawn });
  }
}

export function takeStage({ ahead }: EngineContext): Stage | undefined {
  const { stage } = ahead;
  ahead.stage = undefined;
  return stage;
}

export function newListener({ isRoot, env, spawn }: EngineContext): Listener {
  return startListener({ program: ['engines/oci/listen.pl', process.arch, isRoot ? 'root' : 'user'], env, spawn });
}

export function runtimeOf({ layout, env }: EngineContext, name: SandboxSpec['runtime']): RuntimeOptions {
  return { name, root: layout.runtimeRoot(name), env };
}

/** The runtime as it must be called for a sandbox whose first process is `init`. */
export async function runtimeBeside(
  context: EngineContext,
  name: SandboxSpec['runtime'],
  init: ProcessIdentity | undefined,
): Promise<RuntimeOptions> {
  const runtime = runtimeOf(context, name);
  if (context.isRoot || init === undefined) {
    return runtime;
  }
  return { ...runtime, beside: init.pid, limitsMust: isDelegated(await readTextIfPresent(`/proc/${init.pid}/cgroup`)) };
}

/** Asks the host again. What it says stands for every start from then on. */
export async function examine(context: EngineContext, runtime: string, abort: Abortable = {}): Promise<readonly LayerReport[]> {
  const asked = ask(context, runtime, abort);
  context.reports.set(runtime, asked);
  return forgetFailure(context, runtime, asked);
}

/** Asked once for each runtime. */
export async function knownReports(context: EngineContext, runtime: string): Promise<readonly LayerReport[]> {
  const known = context.reports.get(runtime);
  return known === undefined ? examine(context, runtime) : forgetFailure(context, runtime, known);
}

async function forgetFailure(
  context: EngineContext,
  runtime: string,
  asked: Promise<readonly LayerReport[]>,
): Promise<readonly LayerReport[]> {
  try {
    return await asked;
  } catch (error) {
    context.reports.delete(runtime);
    throw error;
  }
}

async function ask(context: EngineContext, runtime: string, { signal }: Abortable): Promise<readonly LayerReport[]> {
  if (runtime !== 'runc' && runtime !== 'crun' && runtime !== 'runsc') {
    throw new CasemateError('ENGINE_FAILED', `the oci engine knows no runtime ${runtime}`);
  }
  const { user, folders, env } = context;
  await privateFolder(folders.state);
  const stage = stageFolder([context.folders.run, context.folders.state]);
  const [cgroup, ranges] = await Promise.all([cgroupsOf(context, { again: true }), subordinates(context)]);
  let asked: Promise<GvisorFindings> | undefined;
  const gvisor = (): Promise<GvisorFindings> => (asked ??= gvisorOf(context, { again: true }));
  return examineHost({ runtime, ...user, subordinates: ranges, stage, cgroup, gvisor, folder: folders.state, env, signal });
}

async function gvisorOf(context: EngineContext, { again = false } = {}): Promise<GvisorFindings> {
  const { gvisor } = context;
  if (again || gvisor.known === undefined) {
    gvisor.known = askGvisor(context);
    gvisor.known.catch(() => undefined);
  }
  return await gvisor.known;
}

async function askGvisor(context: EngineContext): Promise<GvisorFindings> {
  const { folders, env, isRoot } = context;
  const [{ machine, stage }, identity] = await Promise.all([placeOf(context), identityOf(context, isRoot ? 0 : undefined)]);
  return probeGvisor({ machine, stage, identity, folders, env });
}

/** Where a sandbox is put together on this machine. */
async function placeOf({ folders, arch = process.arch }: EngineContext): Promise<{ machine: Machine; stage: string }> {
  const machine = machineOf(arch);
  const stage = stageFolder([folders.run, folders.state]);
  if (machine === undefined || stage === undefined) {
    throw new CasemateError(
      'ENGINE_FAILED',
      machine === undefined ? `${arch} is not supported` : 'none of /mnt, /srv, /media, /home exists',
    );
  }
  return { machine, stage };
}

export async function containerHost(context: EngineContext, runtime: SandboxSpec['runtime']): Promise<ContainerHost> {
  const { layout, env } = context;
  const [place, cgroup, reports] = await Promise.all([placeOf(context), cgroupsOf(context), knownReports(context, runtime)]);
  const gvisor = runtime === 'runsc' ? (await gvisorOf(context)).choice : undefined;
  const has = (name: LayerName): boolean => reports.some(({ layer, available }) => layer === name && available);
  const limits = { seccomp: has('seccomp'), limitsHome: has('disk-limit') };
  const { owner } = context.together;
  const groups = owner === undefined ? '/casemate' : groupOfAll(owner);
  return { layout, env, ...place, cgroup, groups, ...limits, gvisor, runtime: runtimeOf(context, runtime) };
}

/** `slot`: range of host ids, where root starts the sandbox. */
export async function identityOf(context: EngineContext, slot: number | undefined): Promise<Identity> {
  if (slot !== undefined) {
    return { kind: 'root', slot };
  }
  const ranges = await subordinates(context);
  if (ranges === undefined) {
    throw new CasemateError('LAYER_MISSING', 'user-namespace: no subordinate ids for this user');
  }
  const { uid, gid } = context.user;
  return { kind: 'user', uid, gid, ...ranges };
}

async function subordinates({ isRoot, user }: EngineContext): Promise<{ subuid: Range; subgid: Range } | undefined> {
  if (isRoot) {
    return undefined;
  }
  const [subuid, subgid] = await Promise.all(['/etc/subuid', '/etc/subgid'].map((file) => subordinateRange(file, user)));
  return subuid === undefined || subgid === undefined ? undefined : { subuid, subgid };
}
