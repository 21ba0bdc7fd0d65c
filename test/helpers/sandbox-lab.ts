/** The use cases on the memory engine: every part of the world is a plain object that can be told to fail. */
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CasemateError } from '../../src/base/errors.ts';
import { newSandboxId, parseSandboxName, type SandboxId } from '../../src/base/ids.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { createSealedStore, sealedFileName } from '../../src/credentials/sealed/sealed-store.ts';
import { memoryEngine, type MemoryEngine } from '../../src/engines/memory.ts';
import { createAsks } from '../../src/gateway/asks/asks.ts';
import { createAuthorities } from '../../src/gateway/tls/authorities.ts';
import { createKnownSecrets } from '../../src/gateway/secrets/known-secrets.ts';
import { openUsageLedger } from '../../src/sandbox/stored/usage-ledger.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import type { JournalEntry, JournalRecord } from '../../src/journal/record.ts';
import type { SandboxContext } from '../../src/sandbox/context.ts';
import { hashPlan, makePlan, type Plan } from '../../src/sandbox/plan/plan.ts';
import type { Prepared } from '../../src/sandbox/making/prepare.ts';
import type { HostShare } from '../../src/sandbox/host/share-limits.ts';
import type { Place } from '../../src/sandbox/host/room.ts';
import { createSandboxes, type Sandboxes } from '../../src/sandbox/sandboxes.ts';
import { createServerLinks } from '../../src/sandbox/life/server-links.ts';
import { openStore, type SandboxState, type Store } from '../../src/sandbox/stored/store.ts';
import type { ProcessIdentity } from '../../src/system/process-identity.ts';
import { environmentOf } from '../../src/system/environment.ts';
import type { Ingress } from '../../src/system/ingress.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { resolveTexts } from '../unit/policy/samples.ts';

export interface Lab {
  readonly root: string;
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly engine: MemoryEngine;
  readonly store: Store;
  /** what the journal accepted, in order */
  readonly records: JournalEntry[];
  /** sandboxes the gateway serves */
  readonly served: ReadonlyMap<string, Ingress>;
  readonly openIngresses: ReadonlySet<Ingress>;
  /** Names such as `engine.create`, `journal:sandbox.start`, `store:running`: that step fails while it is in here. */
  readonly failing: Set<string>;
  readonly time: { nowMs: number; monotonicMs: number };
  /** Lets both clocks go on. */
  readonly pass: (ms: number) => void;
  readonly make: (changes?: MakeChanges) => ReturnType<Sandboxes['make']>;
  /** A row as an earlier daemon may have left it. */
  readonly leave: (row: {
    readonly state: SandboxState;
    readonly ephemeral?: boolean;
    readonly client?: ProcessIdentity | undefined;
  }) => SandboxId;
  /** The use cases anew on the same world, as a second daemon has them. */
  readonly again: () => Sandboxes;
  /** action and outcome of each record */
  readonly journal: () => readonly string[];
  readonly remove: () => Promise<void>;
}

export interface MakeChanges {
  readonly name?: string;
  readonly ephemeral?: boolean;
  readonly client?: ProcessIdentity;
  readonly policy?: string;
  readonly caller?: string;
  readonly place?: Place;
  /** servers with a sandbox of their own */
  readonly servers?: readonly string[];
}

export const call = { actor: 'user:1', callerEnv: environmentOf({}) };

export const wideShare: HostShare = {
  ready: 0,
  running: 100,
  memoryBytes: 2 ** 50,
  cpus: undefined,
  pids: 1_000_000,
  callers: 30,
  eachCaller: 10,
};

/** `share`: what all sandboxes together may take; a change of it holds from the next look. */
export async function sandboxLab(share: Partial<HostShare> = {}): Promise<Lab> {
  const root = await mkdtemp(join(tmpdir(), 'casemate-lab-'));
  const failing = new Set<string>();
  const time = { nowMs: 1_000_000, monotonicMs: 0 };
  const records: JournalEntry[] = [];
  const openIngresses = new Set<Ingress>();
  const served = new Map<string, Ingress>();
  const check = (step: string, code: 'ENGINE_FAILED' | 'GATEWAY_FAILED' | 'JOURNAL_UNWRITABLE' | 'STORE_FAILED'): void => {
    if (failing.has(step)) {
      throw new CasemateError(code, `${step} fails`);
    }
  };
  const memory = memoryEngine();
  const engine = failingEngine(memory, { check, openIngresses });
  const plain = openStore(':memory:');
  const store: Store = {
    ...plain,
    move(id, change) {
      check(`store:${change.state}`, 'STORE_FAILED');
      plain.move(id, change);
    },
  };
  const paths = pathsFrom(environmentOf({ HOME: join(root, 'user'), CASEMATE_HOME: join(root, 'casemate') }), 1000);
  await mkdir(join(root, 'user'));
  await mkdir(join(paths.state, 'sandboxes'), { recursive: true, mode: 0o700 });
  const context: SandboxContext = {
    engine,
    store,
    sealed: createSealedStore({
      path: join(paths.state, sealedFileName),
      config: paths.config,
      uid: process.getuid?.() ?? 0,
      env: environmentOf({}),
    }),
    loginPost: async () => ({ status: 500, body: '' }),
    sendOnHost: async () => ({ status: 500, body: '' }),
    logins: {
      obtain: async () => undefined,
      rejected: () => undefined,
      put: async () => undefined,
      remove: async () => undefined,
      list: async () => [],
    },
    paths,
    gateway: fakeGateway(served, check),
    guards: { known: createKnownSecrets(), ledger: openUsageLedger(':memory:') },
    asks: createAsks(),
    journal: {
      async append(entry) {
        check(`journal:${entry.action}`, 'JOURNAL_UNWRITABLE');
        records.push(entry);
        const record: JournalRecord = { ...entry, seq: records.length, time: '', previous: '' };
        return record;
      },
      credentialHash: () => '',
      async *newestFirst() {
        yield* records.map((entry, index) => ({ ...entry, seq: index + 1, time: '', previous: '' })).toReversed();
      },
      attest: () => ({ key: '', publicKey: '', signature: '' }),
      checkpoint: async () => undefined,
      close: async () => undefined,
    },
    images: { find: async (recipe) => image(recipe), list: async () => [] },
    agents: async () => ({}),
    clock: { nowMs: () => time.nowMs, monotonicMs: () => time.monotonicMs },
    env: environmentOf({}),
    userHome: join(root, 'user'),
    uid: 1000,
    authorities: createAuthorities({ clock: { nowMs: () => time.nowMs } }),
    hostTrustPem: '',
    share: async () => ({ ...wideShare, ...share }),
    servers: createServerLinks(),
    held: new Map(),
  };
  const sandboxes = createSandboxes(context);
  return {
    root,
    context,
    sandboxes,
    engine: memory,
    store: plain,
    records,
    served,
    openIngresses,
    failing,
    time,
    pass(ms) {
      time.nowMs += ms;
      time.monotonicMs += ms;
    },
    make: async ({ name, ephemeral = false, client, policy, caller, place, servers = [] } = {}) =>
      await sandboxes.make(preparedPlan(policy, servers), { name, ephemeral, client, caller, place, ...call }),
    leave({ state, ephemeral = false, client }) {
      const id = newSandboxId();
      const { plan, planHash } = preparedPlan();
      const name = parseSandboxName(`left-${id.slice(3)}`);
      plain.insert({ id, name, state, ephemeral, client, plan: JSON.stringify(plan), planHash, createdMs: 1, reason: 'asked' });
      return id;
    },
    again: () => createSandboxes({ ...context, held: new Map() }),
    journal: () => records.map(({ action, outcome }) => `${action} ${outcome}`),
    remove: async () => await rm(root, { recursive: true, force: true }),
  };
}

const image = (recipe: string) => ({ digest: 'sha256:0', recipe, createdAt: '', rootfs: '/rootfs', bytes: 1, lockDigest: '' });

export function samplePlan(policy = ''): Plan {
  return makePlan(resolveTexts({ user: policy }), {
    agent: undefined,
    engine: 'oci',
    imageDigest: 'sha256:0',
    workspacePath: '/work/here',
    protect: ['.git/hooks'],
    home: { files: [], copied: [], leftOut: [] },
    policyFiles: [],
    trustEnv: {},
    variablesOf: () => [],
  });
}

function preparedPlan(policy?: string, servers: readonly string[] = []): Prepared {
  const own = samplePlan(policy);
  const companions = servers.map((server) => ({
    server,
    plan: { ...own, companion: { name: server, command: ['serve'], env: {} } },
  }));
  const plan = servers.length === 0 ? own : { ...own, companions };
  return { plan, planHash: hashPlan(plan), agent: undefined, trust: undefined };
}

type Check = (step: string, code: 'ENGINE_FAILED' | 'GATEWAY_FAILED') => void;

function failingEngine(
  memory: MemoryEngine,
  { check, openIngresses }: { readonly check: Check; readonly openIngresses: Set<Ingress> },
): Engine {
  const guarded =
    <A extends readonly unknown[], T>(step: string, work: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      check(`engine.${step}`, 'ENGINE_FAILED');
      return await work(...args);
    };
  return {
    ...memory,
    create: guarded('create', memory.create),
    start: guarded('start', memory.start),
    stop: guarded('stop', memory.stop),
    remove: guarded('remove', memory.remove),
    attach: guarded('attach', memory.attach),
    ingress: guarded('ingress', async (id: string) => {
      const ingress = await memory.ingress(id, { tcp: [], udp: [] });
      const counted: Ingress = {
        serve: ingress.serve,
        async close() {
          openIngresses.delete(counted);
          await ingress.close();
        },
      };
      openIngresses.add(counted);
      return counted;
    }),
  };
}

function fakeGateway(served: Map<string, Ingress>, check: Check): Gateway {
  const detach = async (id: string): Promise<void> => {
    check('gateway.detach', 'GATEWAY_FAILED');
    const ingress = served.get(id);
    served.delete(id);
    await ingress?.close();
  };
  return {
    attach(sandbox, ingress) {
      check('gateway.attach', 'GATEWAY_FAILED');
      served.set(sandbox.id, ingress);
    },
    detach,
    update: () => undefined,
    cutCredential: () => 0,
    probe: async () => ({ ok: true, status: 200, secret: undefined }),
    usage: () => undefined,
    close: async () => undefined,
  };
}
