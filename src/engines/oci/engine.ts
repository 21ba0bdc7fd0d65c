import { writeFile } from 'node:fs/promises';

import { allDone } from '../../base/all-done.ts';
import { CasemateError } from '../../base/errors.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type {
  CommandSpec,
  Engine,
  Invocation,
  SandboxConnection,
  SendingProcess,
  Stats,
  TogetherLimits,
  TogetherUse,
} from '../engine.ts';
import { commandProcess } from './bundle.ts';
import {
  cgroupsOf,
  engineContext,
  examine,
  runtimeBeside,
  takeBound,
  takeListener,
  type EngineContext,
  type OciEngineOptions,
} from './context.ts';
import { liveInit } from './first-process.ts';
import { countInside, endGvisorSession, gvisorInvocation, gvisorSender } from './gvisor/inside.ts';
import { fileServer, gvisorProcesses } from './gvisor/own-processes.ts';
import { askForGracePeriod } from './grace-period.ts';
import { keepHome, putHomeBack } from './home-copy.ts';
import {
  createSandbox,
  ensureContainer,
  isStarted,
  removeSandbox,
  startSandbox,
  stateOf,
  stopSandbox,
  tidy,
} from './lifecycle.ts';
import { listenInside } from '../listen.ts';
import { endOrphans } from './orphans.ts';
import { onPath } from './runtimes.ts';
import { mountsOf, requireProtections } from '../workspace/protections.ts';
import { endSession, processesInside } from '../processes.ts';
import { dropReady, holdReady } from './ready-filling.ts';
import { containerOf, type EngineRecord } from '../records.ts';
import { runtimeCommand } from './runtime.ts';
import { sendingProcess } from '../sending-process.ts';
import { sandboxStats } from './stats.ts';
import { leaveTogether, limitTogether, usedTogether } from './together.ts';

/** The embedded engine: an OCI runtime (runc, crun, runsc) started directly, without a daemon of its own. */

const graceDefaultMs = 5000;
const nothingUsed: Stats = { memoryBytes: undefined, memoryPeakBytes: undefined, cpuMs: undefined, pids: undefined };

export function ociEngine(options: OciEngineOptions): Engine {
  const context = engineContext(options);
  const { isRoot, records, exclusive } = context;
  return {
    name: 'oci',
    can: (runtime) => ({
      pauses: false,
      limitsDisk: isRoot,
      limitsMemory: isRoot,
      rootless: true,
      ownKernel: runtime === 'runsc',
    }),
    examine: (runtime, abort) => examine(context, runtime, abort),
    missingTool: async (runtime) => ((await onPath(runtime, context.env['PATH'] ?? '')) === undefined ? runtime : undefined),
    create: (spec, abort = {}) => exclusive(spec.id, () => createSandbox(context, spec, abort)),
    ingress: (id, ports, abort = {}) =>
      exclusive(id, async () => {
        const { pid } = await ensureContainer(context, id, abort);
        const bound = await takeBound(context, id, ports);
        return bound ?? listenInside(String(pid), ports, { listener: takeListener(context, id), ...abort });
      }),
    start: (id, abort = {}) => exclusive(id, () => startSandbox(context, id, abort)),
    stop: (id, { graceMs = graceDefaultMs } = {}) => exclusive(id, () => stopSandbox(context, id, graceMs)),
    remove: (id) => exclusive(id, () => removeSandbox(context, id)),
    async list(owner) {
      const own = (await records.all()).filter(({ spec, ready }) => spec.owner === owner && ready !== true);
      return Promise.all(own.map(async ({ spec }) => ({ id: spec.id, state: await stateOf(context, spec.id) })));
    },
    tidy: () => tidy(context),
    holdReady: (count) => holdReady(context, count),
    limitTogether: (owner, limits) => limitAll(context, owner, limits),
    attach: (id, command) => attach(context, id, command),
    endSession: (id, leader) => endSessionOf(context, id, leader),
    async endOrphans(id) {
      const live = await liveSandbox(context, id);
      // Inside gVisor a command has no parent on the host.
      await (live === undefined || live.isGvisor ? undefined : endOrphans(live.init, id));
    },
    stats: (id) => statsOf(context, id),
    heldPlaces: async (id) => (await records.read(id))?.protections ?? [],
    async processes(id) {
      const live = await liveSandbox(context, id);
      return live === undefined ? [] : processesOf(live);
    },
    keepHome: (id, home, to, { signal } = {}) => exclusive(id, () => keepHome(home, to, { env: context.env, signal })),
    putHomeBack: (id, home, from, { signal } = {}) => exclusive(id, () => putHomeBack(home, from, { env: context.env, signal })),
    async processOf(id, connection) {
      const live = await liveSandbox(context, id);
      return live === undefined ? undefined : senderOf(context, live, connection);
    },
    async close() {
      await dropReady(context);
      await context.settled();
      await (context.together.owner === undefined ? undefined : leaveTogether(context.together.owner));
    },
  };
}

/** Of root alone: an ordinary user's groups are systemd's, which has no say of ours in what is above them. */
async function limitAll(context: EngineContext, owner: string, limits: TogetherLimits): Promise<TogetherUse | undefined> {
  const cgroup = await cgroupsOf(context);
  if (!context.isRoot || cgroup.controllers.length === 0) {
    return undefined;
  }
  await limitTogether(owner, limits, cgroup);
  context.together.owner = owner;
  return usedTogether(owner, cgroup);
}

interface LiveSandbox {
  readonly record: EngineRecord;
  readonly init: ProcessIdentity;
  /** its programs run on gVisor's kernel and not on the host's */
  readonly isGvisor: boolean;
}

async function liveSandbox({ layout, records }: EngineContext, id: string): Promise<LiveSandbox | undefined> {
  const [init, record] = await Promise.all([liveInit(layout, id), records.read(id)]);
  return init === undefined || record === undefined ? undefined : { record, init, isGvisor: record.spec.runtime === 'runsc' };
}

async function processesOf({ init, isGvisor }: LiveSandbox): Promise<readonly number[]> {
  return isGvisor ? gvisorProcesses(init) : processesInside(init);
}

async function senderOf(
  context: EngineContext,
  live: LiveSandbox,
  connection: SandboxConnection,
): Promise<SendingProcess | undefined> {
  const { record, init, isGvisor } = live;
  return isGvisor ? gvisorSender({ context, record, keeper: init }, connection) : sendingProcess(init, connection);
}

async function endSessionOf(context: EngineContext, id: string, leader: string): Promise<void> {
  const live = await liveSandbox(context, id);
  if (live !== undefined) {
    const { record, init, isGvisor } = live;
    await (isGvisor ? endGvisorSession({ context, record, keeper: init }, leader) : endSession(init, leader));
  }
}

async function statsOf(context: EngineContext, id: string): Promise<Stats> {
  const live = await liveSandbox(context, id);
  if (live === undefined) {
    return nothingUsed;
  }
  const { record, init, isGvisor } = live;
  const stats = await sandboxStats(containerOf(record), init.pid);
  // On the host there are gVisor's own threads; what runs inside its kernel alone knows.
  return isGvisor ? { ...stats, pids: await countInside({ context, record, keeper: init }) } : stats;
}

async function attach(context: EngineContext, id: string, command: CommandSpec): Promise<Invocation> {
  if (!/^[\w-]{1,64}$/.test(command.executionId)) {
    throw new CasemateError('NAME_INVALID', 'the id of an execution is not well formed');
  }
  const [record, init, started] = await allDone([context.records.get(id), liveInit(context.layout, id), isStarted(context, id)]);
  const { spec } = record;
  if (init === undefined || !started) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `the sandbox ${id} is not running`);
  }
  if (spec.runtime === 'runsc') {
    await requireProtections(record, async () => mountsOf((await fileServer(init)) ?? init.pid));
    return gvisorInvocation({ context, record, keeper: init }, command);
  }
  // The caller starts the runtime next.
  void askForGracePeriod();
  const folder = context.layout.sandbox(id);
  const pidFile = folder.executionPid(command.executionId);
  const processFile = folder.processFile(command.executionId);
  const errorLog = folder.executionLog(command.executionId);
  const [runtime] = await allDone([
    runtimeBeside(context, spec.runtime, init),
    requireProtections(record, () => mountsOf(init.pid)),
    writeFile(processFile, JSON.stringify(commandProcess(spec, command)), { mode: 0o600 }),
  ]);
  const { file, args } = runtimeCommand(runtime, [
    '--log',
    errorLog,
    'exec',
    '--process',
    processFile,
    '--pid-file',
    pidFile,
    containerOf(record),
  ]);
  return { file, args, env: context.env, pidFile, errorLog };
}
