import { CasemateError } from '../base/errors.ts';
import { layers, type LayerName } from '../base/layers.ts';
import type { Ingress, IngressReceiver } from '../system/ingress.ts';
import type { CommandSpec, Engine, EngineSandbox, Invocation, LayerReport, SandboxSpec, Stats } from './engine.ts';

/**
 * An engine that isolates nothing and starts nothing: sandboxes are entries of a map. For tests and docs. It keeps the promises
 * of the interface (order of calls, idempotence, refusals by name), so that what works here works elsewhere.
 */

export interface MemoryEngineOptions {
  /** layers this make-believe host lacks */
  readonly lacking?: readonly LayerName[] | undefined;
  /** what a command becomes; by default a program of the host that does nothing */
  readonly invocation?: ((id: string, command: CommandSpec) => Invocation) | undefined;
}

export interface MemoryEngine extends Engine {
  readonly spec: (id: string) => SandboxSpec | undefined;
  /** what the gateway was given for a sandbox, to play a client against it */
  readonly receiver: (id: string) => IngressReceiver | undefined;
}

interface Entry {
  readonly spec: SandboxSpec;
  state: EngineSandbox['state'];
  receiver: IngressReceiver | undefined;
}

export function memoryEngine({ lacking = [], invocation = nothing }: MemoryEngineOptions = {}): MemoryEngine {
  const entries = new Map<string, Entry>();
  const get = (id: string): Entry => {
    const entry = entries.get(id);
    if (entry === undefined) {
      throw new CasemateError('SANDBOX_NOT_FOUND', `the engine has no sandbox ${id}`);
    }
    return entry;
  };
  return {
    name: 'memory',
    can: () => ({ pauses: false, limitsDisk: true, limitsMemory: true, rootless: true, ownKernel: false }),
    examine: async () => reports(lacking),
    async create(spec, { signal } = {}) {
      signal?.throwIfAborted();
      requireLayers(spec, lacking);
      if (entries.has(spec.id)) {
        throw new CasemateError('SANDBOX_WRONG_STATE', `the engine has a sandbox ${spec.id} already`);
      }
      entries.set(spec.id, { spec, state: 'created', receiver: undefined });
    },
    async ingress(id, _ports, { signal } = {}) {
      signal?.throwIfAborted();
      return ingressOf(get(id));
    },
    async start(id, { signal } = {}) {
      signal?.throwIfAborted();
      get(id).state = 'running';
    },
    async stop(id) {
      const entry = entries.get(id);
      if (entry !== undefined) {
        entry.state = 'stopped';
      }
    },
    async remove(id) {
      entries.delete(id);
    },
    list: async (owner) =>
      [...entries.values()].filter(({ spec }) => spec.owner === owner).map(({ spec, state }) => ({ id: spec.id, state })),
    tidy: async () => undefined,
    async attach(id, command) {
      if (get(id).state !== 'running') {
        throw new CasemateError('SANDBOX_WRONG_STATE', `the sandbox ${id} is not running`);
      }
      return invocation(id, command);
    },
    stats: async (id): Promise<Stats> => {
      get(id);
      return { memoryBytes: 0, memoryPeakBytes: 0, cpuMs: 0, pids: 0 };
    },
    endSession: async () => undefined,
    endOrphans: async () => undefined,
    processes: async () => [],
    processOf: async () => undefined,
    spec: (id) => entries.get(id)?.spec,
    receiver: (id) => entries.get(id)?.receiver,
  };
}

function reports(lacking: readonly LayerName[]): readonly LayerReport[] {
  return Object.entries(layers).map(([name, about]) => {
    const isLacking = lacking.some((layer) => layer === name);
    // oxlint-disable-next-line no-unsafe-type-assertion -- the keys of the table are its names
    return { layer: name as LayerName, available: !isLacking, detail: isLacking ? 'taken away for a test' : about };
  });
}

function requireLayers({ waived }: SandboxSpec, lacking: readonly LayerName[]): void {
  const refused = lacking.filter((layer) => !waived.includes(layer));
  if (refused.length > 0) {
    throw new CasemateError('LAYER_MISSING', `this host lacks: ${refused.join(', ')}`);
  }
}

function ingressOf(entry: Entry): Ingress {
  return {
    serve(receiver) {
      entry.receiver = receiver;
    },
    async close() {
      entry.receiver = undefined;
    },
  };
}

function nothing(_id: string, { executionId }: CommandSpec): Invocation {
  return {
    file: 'true',
    args: [],
    env: { PATH: '/usr/bin:/bin' },
    pidFile: `/nonexistent/${executionId}.pid`,
    errorLog: `/nonexistent/${executionId}.log`,
  };
}
