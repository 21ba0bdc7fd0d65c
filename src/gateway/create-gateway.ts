import { CasemateError } from '../base/errors.ts';
import type { Budget } from '../policy/guards.ts';
import type { Journal } from '../journal/record.ts';
import { systemClock, type Clock } from '../system/clock.ts';
import type { Ingress, IngressConnection, IngressDatagram } from '../system/ingress.ts';
import { askEffect } from './asks/ask-person.ts';
import type { Asks } from './asks/asks.ts';
import { serveConnection } from './connection.ts';
import { createBudgets, type Budgets } from './guards/budgets.ts';
import { cachedResolve } from './upstream/cached-resolve.ts';
import { dialOnHost, dialRelayOnHost, resolveOnHost, type Dial, type DialRelay, type Resolve } from './upstream/dial.ts';
import { createDialer, type Dialer } from './upstream/dialer.ts';
import { answerQuery, type DnsContext } from './names/dns.ts';
import { serveDnsStream } from './names/dns-stream.ts';
import type { Gateway, GatewaySandbox } from './gateway.ts';
import { createLeafStore } from './tls/leaf-store.ts';
import { memoryLedger, type Amounts } from './guards/ledger.ts';
import { defaultLimits, type GatewayLimits } from './limits.ts';
import { usageOf, type LiveSandbox } from './live-sandbox.ts';
import { createNames } from './names/names.ts';
import { createNovelty } from './guards/novelty.ts';
import { createNeedleCache } from './secrets/needles.ts';
import { createRecent } from './secrets/recent.ts';
import { createPace } from './bodies/pace.ts';
import type { UpstreamProxy } from './upstream/proxy-settings.ts';
import { probe } from './exchange/probe.ts';
import { createRate, type Rate } from './rate.ts';
import { createRecorder } from './records.ts';
import { reset } from './upstream/reset.ts';
import { createRuleBook } from './rule-book.ts';
import { createUpstreamStore } from './upstream/upstream-store.ts';

/** The gateway of a daemon, for any number of sandboxes, each with its own state and limits. */
export interface GatewayOptions {
  readonly journal: Journal;
  /** opens the TCP connections to upstreams, to addresses that were checked */
  readonly dial?: Dial | undefined;
  /** the same for relays; default: `dial`, or the host's own where that is not given */
  readonly dialRelay?: DialRelay | undefined;
  readonly resolve?: Resolve | undefined;
  readonly clock?: Clock | undefined;
  /** the host's own proxy, from `proxySettings` */
  readonly upstreamProxy?: UpstreamProxy | undefined;
  /** whom to trust upstream, PEM, from `hostTrustStore`; default: Node's own list */
  readonly trustStorePem?: string | undefined;
  /** one line about a fault of the gateway itself */
  readonly log?: ((line: string) => void) | undefined;
  readonly limits?: Partial<GatewayLimits> | undefined;
  /** where denied requests wait for a person; without it nobody is asked */
  readonly asks?: Asks | undefined;
}

interface Attached {
  readonly live: LiveSandbox;
  readonly ingress: Ingress;
}

interface Shared {
  readonly options: GatewayOptions;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
  readonly dialer: Dialer;
  /** what requests under way have taken from budgets, over all sandboxes */
  readonly reserved: Map<string, Amounts>;
  readonly log: (line: string) => void;
}

export function createGateway(options: GatewayOptions): Gateway {
  const shared = sharedParts(options);
  const attached = new Map<string, Attached>();
  const detach = async (sandboxId: string): Promise<void> => {
    const found = attached.get(sandboxId);
    if (found === undefined) {
      return;
    }
    attached.delete(sandboxId);
    // First what is open, at once: a listener may wait for its connections before it calls itself closed.
    cut(found.live);
    shared.options.asks?.close(sandboxId);
    await found.ingress.close().catch((error: unknown) => shared.log(`closing the ingress of ${sandboxId}: ${String(error)}`));
    await settle(found.live);
  };
  return {
    attach(sandbox, ingress) {
      if (attached.has(sandbox.id)) {
        throw new CasemateError('GATEWAY_FAILED', `the gateway serves the sandbox ${sandbox.id} already`);
      }
      const live = createLive(sandbox, shared);
      attached.set(sandbox.id, { live, ingress });
      openAsks(sandbox, live);
      const arrivals = createRate(shared.limits.connectionsPerSecond, shared.clock);
      const dns = dnsContext(live);
      ingress.serve({
        connection: (connection) => accept(connection, { live, arrivals, dns, shared }),
        datagram: (datagram) => answerDatagram(datagram, dns),
      });
    },
    detach,
    update(sandboxId, ruling) {
      const live = attached.get(sandboxId)?.live;
      return live === undefined ? undefined : { cut: live.book.replace(ruling) };
    },
    cutCredential(name, { sandboxId } = {}) {
      const all = [...attached.values()].filter(({ live }) => sandboxId === undefined || live.sandbox.id === sandboxId);
      const cuts = all.map(({ live }) => live.book.cutWhere((held) => held.credential === name, 'credential-revoked'));
      return cuts.reduce((sum, count) => sum + count, 0);
    },
    probe: (asked) => probe(asked, { dialer: shared.dialer, limits: shared.limits, nowMs: shared.clock.nowMs() }),
    usage(sandboxId) {
      const found = attached.get(sandboxId);
      return found === undefined ? undefined : usageOf(found.live);
    },
    async close() {
      await Promise.all([...attached.keys()].map(detach));
    },
  };
}

function sharedParts(options: GatewayOptions): Shared {
  const limits: GatewayLimits = { ...defaultLimits, ...options.limits };
  const clock = options.clock ?? systemClock;
  const dialer = createDialer({
    resolve: options.resolve ?? cachedResolve(resolveOnHost, { nowMs: clock.monotonicMs }),
    dial: options.dial ?? dialOnHost,
    dialRelay: options.dialRelay ?? options.dial ?? dialRelayOnHost,
    proxy: options.upstreamProxy,
    trustStorePem: options.trustStorePem,
    dialMs: limits.dialMs,
    handshakeMs: limits.handshakeMs,
  });
  return {
    options,
    limits,
    clock,
    dialer,
    reserved: new Map(),
    log: options.log ?? (() => undefined),
  };
}

function createLive(sandbox: GatewaySandbox, { options, limits, clock, dialer, reserved, log }: Shared): LiveSandbox {
  const { journal } = options;
  const complaints = createRate(1, clock);
  const book = createRuleBook(sandbox);
  return {
    sandbox,
    book,
    asks: options.asks,
    learn: sandbox.learn === undefined ? undefined : { ...sandbox.learn, spentBytes: 0 },
    dialer,
    limits,
    clock,
    names: createNames({
      sandboxId: sandbox.id,
      rules: book.now,
      local: sandbox.local?.places.map(({ host }) => host),
      limit: limits.names,
      allowedLimit: limits.allowedNames,
    }),
    recorder: createRecorder({
      journal,
      sandboxId: sandbox.id,
      server: sandbox.server,
      policyHash: book.policyHash,
      clock,
      onFailure(error) {
        // A full disk fails every line; one of them a second is enough to read.
        if (complaints.take()) {
          log(`the journal did not take a line about ${sandbox.id}: ${String(error)}`);
        }
      },
    }),
    leaves: createLeafStore({ authority: sandbox.authority, clock, perSecond: limits.leavesPerSecond, kept: limits.leaves }),
    upstreams: createUpstreamStore({ dialer, limits }),
    wildcards: createNovelty({ characters: limits.wildcardCharacters, perMinute: limits.wildcardCharactersPerMinute, clock }),
    unknownPaths: createNovelty({
      characters: limits.unknownPathCharacters,
      perMinute: limits.unknownPathCharactersPerMinute,
      clock,
    }),
    budgets: budgetsOf(sandbox, { clock, reserved }),
    phantoms: phantomsOf(sandbox),
    needlesOf: createNeedleCache(),
    sockets: new Set(),
    closing: new AbortController(),
    pace: createPace(),
    counts: { exchange: 0, openExchanges: 0, decodingBytes: 0, allowed: 0, denied: 0, bytesOut: 0, bytesIn: 0, heldBytes: 0 },
    credentialHash: createRecent(journal.credentialHash),
  };
}

function budgetsOf(
  { id, countedWith = id, guarding }: GatewaySandbox,
  { clock, reserved }: Pick<Shared, 'clock' | 'reserved'>,
): Budgets {
  const { budgets = [], uploads = [], prices = [] } = guarding?.rules ?? {};
  const hourly = uploads.flatMap(({ perHourBytes, origin }): readonly Budget[] =>
    perHourBytes === undefined
      ? []
      : [{ credential: undefined, per: 'hour', over: 'sandbox', limits: { bytesOut: perHourBytes }, origin }],
  );
  return createBudgets({
    sandboxId: countedWith,
    budgets: [...budgets, ...hourly],
    prices,
    ledger: guarding?.ledger ?? memoryLedger(),
    reserved,
    nowMs: clock.nowMs,
  });
}

/** Asked for each exchange; the same list until one has been added, so that what is made of it can be kept with it. */
function phantomsOf({ credentials }: GatewaySandbox): () => readonly string[] {
  let known: readonly string[] = [];
  return () => {
    let count = 0;
    let isSame = true;
    for (const credential of credentials.values()) {
      for (const phantom of credential.phantoms()) {
        isSame &&= phantom === known[count];
        count += 1;
      }
    }
    if (!isSame || count !== known.length) {
      known = [...credentials.values()].flatMap((credential) => credential.phantoms());
    }
    return known;
  };
}

function openAsks({ id, name, asks: setting }: GatewaySandbox, { asks, book, recorder }: LiveSandbox): void {
  if (setting !== undefined) {
    asks?.open({
      id,
      name,
      ...setting,
      rules: book.now,
      policyHash: book.policyHash,
      note: (outcome, view) => recorder.note('net.ask', askEffect(view), outcome),
    });
  }
}

/** From here on nothing of the sandbox is accepted, and what it had open is gone. */
function cut({ closing, sockets, upstreams }: LiveSandbox): void {
  closing.abort();
  for (const socket of sockets) {
    reset(socket);
  }
  upstreams.close();
}

/** Resolves when the ends of all exchanges are on record; how long that may take. */
const settleMs = 2000;

async function settle({ sockets, recorder }: LiveSandbox): Promise<void> {
  const startedMs = performance.now();
  // An exchange states its end in a later turn than its socket closes in.
  do {
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while ((sockets.size > 0 || recorder.unended() > 0) && performance.now() - startedMs < settleMs);
  await recorder.flush();
}

interface Reception {
  readonly live: LiveSandbox;
  readonly arrivals: Rate;
  readonly dns: DnsContext;
  readonly shared: Shared;
}

function accept(connection: IngressConnection, { live, arrivals, dns, shared }: Reception): void {
  const { socket, localAddress, localPort } = connection;
  // Whatever happens to a caller's connection, it must not end the process.
  socket.on('error', () => undefined);
  if (live.closing.signal.aborted || live.sockets.size >= live.limits.connections || !arrivals.take()) {
    live.counts.denied += 1;
    void live.recorder.deny({ subject: `${localAddress}:${localPort}`, detail: {} }, { reason: 'too-many-connections' });
    reset(socket);
    return;
  }
  live.sockets.add(socket);
  socket.once('close', () => live.sockets.delete(socket));
  socket.setNoDelay(true);
  socket.setTimeout(live.limits.idleMs, () => reset(socket));
  if (localPort === 53) {
    serveDnsStream(socket, (query) => answerQuery(query, dns), { idleMs: live.limits.dnsIdleMs });
    return;
  }
  serveConnection(connection, { live }).catch((error: unknown) => {
    shared.log(`a connection of ${live.sandbox.id} to ${localAddress}:${localPort} failed: ${String(error)}`);
    reset(socket);
  });
}

function answerDatagram({ data, localPort, reply }: IngressDatagram, dns: DnsContext): void {
  const answer = localPort === 53 ? answerQuery(data, dns) : undefined;
  if (answer !== undefined) {
    reply(answer);
  }
}

function dnsContext({ sandbox, names, book, phantoms, recorder, counts, limits, clock }: LiveSandbox): DnsContext {
  let isFull = false;
  const rate = createRate(limits.queriesPerSecond, clock);
  return {
    names,
    rules: book.now,
    local: (host) =>
      sandbox.local?.places.some((place) => place.host === host) === true
        ? 'place'
        : sandbox.local?.isInside(host) === true
          ? 'inside'
          : undefined,
    forbidden: phantoms,
    mayAnswer: rate.take,
    onForbidden() {
      counts.denied += 1;
      sandbox.guarding?.onAlarm?.();
      void recorder.deny({ subject: 'dns', detail: {} }, { reason: 'phantom-misplaced', action: 'alarm.phantom-misplaced' });
    },
    onFull() {
      if (!isFull) {
        isFull = true;
        void recorder.deny({ subject: 'dns', detail: { names: names.size() } }, { reason: 'too-many-names' });
      }
    },
  };
}
