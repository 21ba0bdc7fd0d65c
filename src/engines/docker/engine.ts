import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { Ingress } from '../../system/ingress.ts';
import type { Engine, Stats } from '../engine.ts';
import { attach, endOrphans } from './attach.ts';
import { ownContainers, partOf, stateOf, type OwnContainer } from './containers.ts';
import { runningSandbox } from './first-process.ts';
import { dockerContext, examine, type DockerContext, type DockerEngineOptions } from './context.ts';
import { segment } from './docker-client.ts';
import { closeKernel, kernelOf } from './kernel/kernel-of.ts';
import { signalsOf } from './kernel/signals.ts';
import { followEvents, type Tell } from './follow-events.ts';
import { ingressOf, type IngressWish } from './ingress.ts';
import { createSandbox, ensureContainers, removeSandbox, startSandbox, stopSandbox, tidy } from './lifecycle.ts';
import { sandboxContainers } from './nested/containers.ts';
import { examinePlaces } from './place/examine-places.ts';
import { uplinkIngress } from './uplink/uplink-ingress.ts';
import { fieldsOf, numberOf } from './read-json.ts';
import { dropKeepers } from './ready-keeper.ts';

/**
 * A Docker Engine, or Podman's service, over its API. A sandbox is two containers: a keeper with no network but `lo`, and the
 * sandbox, which joins that network. The engine is trusted to do as it is told, and is then asked whether it did.
 */

const graceDefaultMs = 5000;
const nothingUsed: Stats = { memoryBytes: undefined, memoryPeakBytes: undefined, cpuMs: undefined, pids: undefined };

export function dockerEngine(options: DockerEngineOptions): Engine {
  const context = dockerContext(options);
  const { exclusive, records } = context;
  const { name = 'docker' } = options;
  let tell: Tell | undefined;
  const events = followEvents(context, () => tell);
  return {
    name,
    can: () => ({ pauses: false, limitsDisk: false, limitsMemory: true, rootless: name === 'podman', ownKernel: false }),
    ...whereItIs(options),
    examine: (runtime, abort = {}) => examine(context, runtime, abort),
    create: (spec, abort = {}) => {
      events.begin();
      return exclusive(spec.id, () => createSandbox(context, spec, abort));
    },
    ingress: (id, ports, abort = {}) =>
      exclusive(id, async () => {
        const parts = await ensureContainers(context, id, abort);
        return listenersOf(context, { id, ...parts, ports, ...abort });
      }),
    start: (id, abort = {}) => exclusive(id, () => startSandbox(context, id, abort)),
    stop: (id, { graceMs = graceDefaultMs } = {}) => exclusive(id, () => stopSandbox(context, id, graceMs)),
    remove: (id) => exclusive(id, () => removeSandbox(context, id)),
    async list(owner) {
      const own = (await records.all()).filter(({ spec, ready }) => spec.owner === owner && ready !== true);
      // Nothing is asked of an engine that no sandbox uses. One that does not answer runs nothing that reaches a gateway; its
      // sandboxes cannot be stopped or removed until it does, and those of other engines must not wait for that.
      if (own.length > 0) {
        events.begin();
      }
      const containers = own.length === 0 ? [] : await ownContainers(context).catch((): readonly OwnContainer[] => []);
      // Commands may run that an earlier process has started.
      await (containers.some(({ state }) => state === 'running') ? signalsOf(context).catch(() => undefined) : undefined);
      return own.map(({ spec }) => ({ id: spec.id, state: stateOf(containers, spec.id) }));
    },
    tidy: () => tidy(context),
    watch(listener) {
      tell = listener;
    },
    holdReady(count) {
      context.keepers.count = count;
    },
    async close() {
      events.close();
      await closeContext(context);
    },
    attach: (id, command) => attach(context, id, command),
    endOrphans: (id) => endOrphans(context, id),
    stats: (id) => statsOf(context, id),
    heldPlaces: async (id) => (await records.read(id))?.protections ?? [],
    containers: (id) => sandboxContainers(context, id),
    ...ofProcesses(context),
  };
}

function ofProcesses(context: DockerContext): Pick<Engine, 'endSession' | 'namespaces' | 'processes' | 'processOf'> {
  return {
    async endSession(id, leader) {
      const init = await liveInit(context, id);
      await (init === undefined ? undefined : (await kernelOf(context)).endSession(init, leader));
    },
    async processes(id) {
      const [init, kernel] = await Promise.all([liveInit(context, id), kernelOf(context)]);
      // Elsewhere they are no processes of this host, and whoever asks may take them for such.
      return init === undefined || !(await kernel.isHere()) ? [] : kernel.processesInside(init);
    },
    async namespaces(id) {
      const [init, kernel] = await Promise.all([liveInit(context, id), kernelOf(context)]);
      return init === undefined || !(await kernel.isHere()) ? {} : kernel.namespaces(init.pid);
    },
    async processOf(id, connection) {
      const init = await liveInit(context, id);
      return init === undefined ? undefined : (await kernelOf(context)).sender(init, connection);
    },
  };
}

function whereItIs({ places, choice, env }: DockerEngineOptions): Pick<Engine, 'places' | 'choice'> {
  return { places: async () => examinePlaces((await places?.()) ?? [], env), choice: async () => choice?.() };
}

/** Handed over, or carried where the engine shares no sockets. */
async function listenersOf(
  context: DockerContext,
  wish: IngressWish & { readonly uplink: string | undefined },
): Promise<Ingress> {
  const { uplink, ...rest } = wish;
  const { uplink: place } = await context.way();
  return place === undefined || uplink === undefined
    ? ingressOf(context, rest)
    : uplinkIngress(context, { ...rest, uplink, place });
}

async function closeContext(context: DockerContext): Promise<void> {
  context.keepers.isClosed = true;
  await dropKeepers(context);
  await closeKernel(context);
  await context.closeCarrier();
}

async function liveInit(context: DockerContext, id: string): Promise<ProcessIdentity | undefined> {
  return (await context.records.read(id)) === undefined ? undefined : (await runningSandbox(context, id))?.init;
}

async function statsOf(context: DockerContext, id: string): Promise<Stats> {
  const sandbox = await partOf(context, id, 'sandbox');
  if (sandbox?.state !== 'running') {
    return nothingUsed;
  }
  const query = { stream: false, 'one-shot': true };
  const told = fieldsOf(await context.client.must('GET', `/containers/${segment(sandbox.id)}/stats`, { query }));
  const [memory, processes, cpu] = ['memory_stats', 'pids_stats', 'cpu_stats'].map((name) => fieldsOf(told[name]));
  const cpuNs = numberOf(fieldsOf(cpu?.['cpu_usage'])['total_usage']);
  return {
    memoryBytes: numberOf(memory?.['usage']),
    memoryPeakBytes: numberOf(memory?.['max_usage']),
    cpuMs: cpuNs === undefined ? undefined : Math.round(cpuNs / 1e6),
    pids: numberOf(processes?.['current']),
  };
}
