import { askedOnce, type AskedOnce } from '../base/asked-once.ts';
import { CasemateError } from '../base/errors.ts';
import type { SandboxContainers } from './containers.ts';
import type { Abortable, Engine, EngineSandbox } from './engine.ts';

/**
 * Several engines as one: each sandbox is handled by the engine it was planned for. An engine is loaded when first needed; one
 * that no sandbox uses is never asked anything.
 */
export interface RoutedOptions {
  /** the first is the one for whatever nobody planned */
  readonly names: readonly [string, ...string[]];
  readonly load: (name: string) => Promise<Engine>;
  /** by which engine a sandbox was planned; `undefined` when that is not known */
  readonly engineOf: (id: string) => string | undefined;
}

export function routedEngine({ names: [first, ...others], load, engineOf }: RoutedOptions): Engine {
  let ready: number | undefined;
  /** seen in an engine, and planned by nobody: left over */
  const found = new Map<string, string>();
  let tell: Tell | undefined;
  const engines = loadedOnce((name) => watched(load(name), (change) => tell?.(change)));
  const named = async (name: string): Promise<Engine> => {
    const engine = await engines.named(name);
    if (ready !== undefined) {
      engine.holdReady?.(ready);
    }
    return engine;
  };
  const of = async (id: string): Promise<Engine> => named(engineOf(id) ?? found.get(id) ?? first);
  const each = async <T>(step: (engine: Engine) => Promise<T>): Promise<readonly T[]> =>
    Promise.all([first, ...others].map(async (name) => step(await named(name))));
  return {
    name: first,
    can: () => ({ pauses: false, limitsDisk: false, limitsMemory: false, rootless: false, ownKernel: false }),
    examine: async (runtime, options) => (await named(options?.engine ?? first)).examine(runtime, options),
    missingTool: async (runtime, options) => (await named(options?.engine ?? first)).missingTool?.(runtime),
    choice: async (options) => (await named(options?.engine ?? first)).choice?.(),
    create: async (spec, options) => (await of(spec.id)).create(spec, options),
    ingress: async (id, ports, options) => (await of(id)).ingress(id, ports, options),
    start: async (id, options) => (await of(id)).start(id, options),
    stop: async (id, options) => (await of(id)).stop(id, options),
    remove: async (id, options) => (await of(id)).remove(id, options),
    async list(owner: string, options?: Abortable): Promise<readonly EngineSandbox[]> {
      const rows = await each(async (engine) => {
        const own = await engine.list(owner, options);
        own.forEach(({ id }) => found.set(id, engine.name));
        return own;
      });
      return rows.flat();
    },
    async tidy() {
      await each(async (engine) => engine.tidy());
    },
    holdReady(count) {
      ready = count;
    },
    watch(listener) {
      tell = listener;
    },
    limitTogether: async (owner, limits) => (await named(first)).limitTogether?.(owner, limits),
    attach: async (id, command) => (await of(id)).attach(id, command),
    endSession: async (id, leader) => (await of(id)).endSession(id, leader),
    endOrphans: async (id) => (await of(id)).endOrphans(id),
    stats: async (id, options) => (await of(id)).stats(id, options),
    heldPlaces: async (id) => (await (await of(id)).heldPlaces?.(id)) ?? [],
    processes: async (id) => (await of(id)).processes(id),
    namespaces: async (id) => (await (await of(id)).namespaces?.(id)) ?? {},
    containers: async (id) => containersOf(await of(id), id),
    keepHome: async (id, home, to, options) => keepingHomes(await of(id)).keepHome(id, home, to, options),
    putHomeBack: async (id, home, from, options) => keepingHomes(await of(id)).putHomeBack(id, home, from, options),
    processOf: async (id, connection) => (await of(id)).processOf(id, connection),
    close: engines.close,
  };
}

/** Each is loaded once; one that cannot be is loaded anew by whoever needs it next. */
function loadedOnce(load: (name: string) => Promise<Engine>) {
  const loaders = new Map<string, AskedOnce<Engine>>();
  return {
    named(name: string): Promise<Engine> {
      const loader = loaders.get(name) ?? askedOnce(() => load(name));
      loaders.set(name, loader);
      return loader();
    },
    async close(): Promise<void> {
      const known = [...loaders.values()].map(async (loader) => loader.known()?.catch(() => undefined));
      await Promise.all(known.map(async (engine) => (await engine)?.close?.()));
    },
  };
}

function keepingHomes({ name, keepHome, putHomeBack }: Engine): Required<Pick<Engine, 'keepHome' | 'putHomeBack'>> {
  if (keepHome === undefined || putHomeBack === undefined) {
    throw new CasemateError('UNSUPPORTED', `the engine ${name} keeps no homes`, {
      hint: 'Snapshots take the engine oci, started by root.',
    });
  }
  return { keepHome, putHomeBack };
}

type Tell = Parameters<NonNullable<Engine['watch']>>[0];

async function watched(loading: Promise<Engine>, tell: Tell): Promise<Engine> {
  const engine = await loading;
  engine.watch?.(tell);
  return engine;
}

async function containersOf({ name, containers }: Engine, id: string): Promise<SandboxContainers> {
  if (containers === undefined) {
    throw new CasemateError('UNSUPPORTED', `the engine ${name} makes no containers beside a sandbox`);
  }
  return containers(id);
}
