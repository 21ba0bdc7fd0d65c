import { createStop } from '../base/stop.ts';
import type { Socket } from 'node:net';

import type { HostName } from '../base/host.ts';
import { hasFunctions } from '../policy/judging/functions.ts';
import { decideDestination, decisiveRules } from '../policy/judging/decide.ts';
import { learnPorts } from '../policy/proposing/learning.ts';
import type { NetworkRule } from '../policy/policy.ts';
import type { IngressConnection } from '../system/ingress.ts';
import { askAboutConnection } from './asks/ask-person.ts';
import { noteEnds, senderOn } from './secrets/alarm.ts';
import { maxHelloBytes, readClientHello, type Hello } from './tls/client-hello.ts';
import { isNameAdmitted } from './exchange/judge.ts';
import { serveHttp1 } from './serving/http1-server.ts';
import { serveHttp2 } from './serving/http2-server.ts';
import { learnedConnection } from './exchange/learn.ts';
import type { LiveSandbox, Site } from './live-sandbox.ts';
import { placeAt } from './local-names.ts';
import { handshakeBytes, turnFor } from './bodies/pace.ts';
import { openTls } from './tls/open-tls.ts';
import { peek } from './tls/peek.ts';
import { reset } from './upstream/reset.ts';
import { end, relayTunnel, type Tunnel } from './tunnel.ts';

/**
 * Decides about one connection: which host it asks for, which protocol it speaks, and whether it is relayed, opened or closed.
 */
export interface ConnectionTools {
  readonly live: LiveSandbox;
}

/** Never rejects. */
export async function serveConnection(connection: IngressConnection, tools: ConnectionTools): Promise<void> {
  const { socket, localAddress, localPort } = connection;
  const { live } = tools;
  noteEnds(connection);
  // A listener for both families tells IPv4 addresses in their mapped form.
  const host = live.names.nameAt(localAddress.replace(/^::ffff:/, ''));
  if (host === undefined) {
    await close(socket, live, { subject: `${localAddress}:${localPort}`, reason: 'unknown-address' });
    return;
  }
  const place = placeAt(live.sandbox.local, host, localPort);
  if (place !== undefined) {
    place.serve(socket, live.recorder);
    return;
  }
  const { rules } = rulingOn(live, host, localPort);
  const speech = learnedSpeech(live, localPort, rules) ?? speechOn(localPort, rules);
  if (speech === 'nothing') {
    await settleDenied(socket, tools, { host, port: localPort });
    return;
  }
  if (speech === 'anything') {
    await relayBytes(socket, siteOf(tools, host, { port: localPort, scheme: 'https', socket }));
    return;
  }
  await serveHttp(socket, tools, { host, port: localPort, speech });
}

/** Of one that is learned from: HTTP wherever it is likely, and nothing that is not read. */
function learnedSpeech({ learn }: LiveSandbox, port: number, rules: readonly NetworkRule[]): Speech | undefined {
  const isOrdinary = learn === undefined || (learn.setting.known === 'as-allowed' && rules.length > 0);
  if (isOrdinary || port === 80 || port === 443) {
    return undefined;
  }
  return learnPorts.web.some((one) => one === port) || rules.some(isAboutHttp) ? 'either' : 'nothing';
}

/** Held while a person is asked, where the policy has that; nothing is read from it meanwhile. */
async function settleDenied(
  socket: Socket,
  tools: ConnectionTools,
  { host, port }: { readonly host: HostName; readonly port: number },
): Promise<void> {
  const { live } = tools;
  if (live.learn !== undefined) {
    live.counts.denied += 1;
    await live.recorder.deny({ subject: `${host}:${port}`, rule: learnedConnection, detail: {} }, { reason: 'learned-only' });
    reset(socket);
    return;
  }
  const gone = createStop();
  socket.once('close', () => gone.abort());
  const ruling = createRuling(live, host, port);
  const site: Site = {
    live,
    host,
    port,
    scheme: 'https',
    onExchange: () => undefined,
    get rules() {
      return ruling().rules;
    },
    get denied() {
      return ruling().denied;
    },
  };
  const settled = await askAboutConnection(site, gone.signal);
  if (settled === undefined || settled.rules.length === 0 || socket.destroyed) {
    await close(socket, live, { subject: `${host}:${port}`, reason: site.denied ?? 'host-not-allowed' });
    return;
  }
  await relayBytes(socket, settled);
}

type Speech = 'http' | 'tls' | 'either' | 'anything' | 'nothing';

/**
 * What a port carries: 80 HTTP, 443 TLS. On others the first bytes tell, but only where the rule is about HTTP at all:
 * elsewhere the server may be the one that speaks first (SSH, SMTP, MySQL), so nothing is waited for.
 */
function speechOn(port: number, rules: readonly NetworkRule[]): Speech {
  if (port === 80 || port === 443) {
    return port === 80 ? 'http' : 'tls';
  }
  if (rules.length === 0) {
    return 'nothing';
  }
  return rules.some(isAboutHttp) ? 'either' : 'anything';
}

function isAboutHttp(rule: NetworkRule): boolean {
  const { credential, upstream } = rule;
  return credential !== undefined || hasFunctions(rule) || upstream?.startsWith('http:') === true;
}

function siteOf(
  { live }: ConnectionTools,
  host: HostName,
  { port, scheme, socket }: { readonly port: number; readonly scheme: Site['scheme']; readonly socket: Socket },
): Site {
  const ruling = createRuling(live, host, port);
  const { denied } = ruling();
  let exchanges = 0;
  if (denied !== undefined) {
    // A denied connection on which nothing was asked is on record too, as one line.
    socket.once('close', () => {
      if (exchanges === 0) {
        live.counts.denied += 1;
        void live.recorder.deny({ subject: `${host}:${port}`, detail: { asked: false } }, { reason: denied });
      }
    });
  }
  return {
    live,
    host,
    port,
    scheme,
    get rules() {
      return ruling().rules;
    },
    get denied() {
      return ruling().denied;
    },
    sender: senderOn(socket, live),
    onExchange: () => void (exchanges += 1),
  };
}

type Ruling = Pick<Site, 'rules' | 'denied'>;

/** What the rules in force say about one place, asked anew where they have been replaced. */
function createRuling(live: LiveSandbox, host: HostName, port: number): () => Ruling {
  let from = live.book.now();
  let ruling = rulingOn(live, host, port);
  return () => {
    if (live.book.now() !== from) {
      from = live.book.now();
      ruling = rulingOn(live, host, port);
    }
    return ruling;
  };
}

/** By the list of rules that they follow from: a program opens many connections to one place. */
const rulings = new WeakMap<readonly NetworkRule[], Map<string, Ruling>>();
const keptRulings = 1024;

function rulingOn(live: LiveSandbox, host: HostName, port: number): Ruling {
  const inForce = live.book.now();
  const known = rulings.get(inForce) ?? new Map<string, Ruling>();
  const place = `${host}:${port}`;
  const ruling = known.get(place) ?? workOut(live, host, port);
  if (!known.has(place) && known.size < keptRulings) {
    known.set(place, ruling);
    rulings.set(inForce, known);
  }
  return ruling;
}

function workOut(live: LiveSandbox, host: HostName, port: number): Ruling {
  return {
    // The rule with the credential decides where another one would let the request pass without.
    rules: decisiveRules(live.book.now(), host, port).toSorted(
      (a, b) => Number(b.credential !== undefined) - Number(a.credential !== undefined),
    ),
    denied: deniedReason(live, host, port),
  };
}

function deniedReason(live: LiveSandbox, host: HostName, port: number): Site['denied'] {
  const decision = decideDestination(live.book.now(), host, port);
  return decision.verdict === 'deny' ? decision.reason : undefined;
}

interface HttpPlace {
  readonly host: HostName;
  readonly port: number;
  readonly speech: 'http' | 'tls' | 'either';
}

async function serveHttp(socket: Socket, tools: ConnectionTools, { host, port, speech }: HttpPlace): Promise<void> {
  const { live } = tools;
  const { limits } = live;
  const first = await peek(socket, {
    maxBytes: maxHelloBytes,
    timeoutMs: limits.firstBytesMs,
    read: (bytes) => firstWords(bytes, speech),
  });
  if (first.kind !== 'seen') {
    await close(socket, live, {
      subject: `${host}:${port}`,
      reason: first.kind === 'too-long' ? 'hello-unreadable' : 'nothing-said',
    });
    return;
  }
  if (first.value === 'http') {
    serveHttp1(socket, siteOf(tools, host, { port, scheme: 'http', socket }));
    return;
  }
  await serveTls(socket, tools, { host, port, hello: first.value });
}

interface TlsPlace {
  readonly host: HostName;
  readonly port: number;
  readonly hello: WholeHello;
}

type WholeHello = Exclude<Hello, { kind: 'incomplete' }>;

async function serveTls(socket: Socket, tools: ConnectionTools, { host, port, hello }: TlsPlace): Promise<void> {
  const subject = `${host}:${port}`;
  if (hello.kind === 'unreadable') {
    await close(socket, tools.live, { subject, reason: 'hello-unreadable', why: hello.why });
    return;
  }
  if (hello.serverName !== host) {
    await close(socket, tools.live, { subject, reason: 'server-name-mismatch' });
    return;
  }
  const site = siteOf(tools, host, { port, scheme: 'https', socket });
  // An encrypted inner hello could name another server behind the same address: such TLS is never passed on unopened.
  const isOpened = tools.live.learn?.setting.known === 'as-learned' || site.rules.some(isAboutHttp);
  if (site.denied === undefined && !isOpened && !isRegistry(site) && !hello.hasEncryptedHello) {
    await relayBytes(socket, site, (failed) => {
      serveOpened(socket, { ...site, failed }, tools).catch(() => reset(socket));
    });
  } else {
    await serveOpened(socket, site, tools);
  }
}

/** What a registry offers is read, so its TLS is opened even where a rule would allow everything. */
function isRegistry({ live, host }: Site): boolean {
  const { packages = [], registries = [] } = live.sandbox.guarding?.rules ?? {};
  return packages.length > 0 && registries.some((registry) => registry.host === host);
}

function firstWords(bytes: Buffer, speech: HttpPlace['speech']): 'http' | WholeHello | undefined {
  if (speech === 'http' || (speech === 'either' && bytes[0] !== 0x16)) {
    return 'http';
  }
  const hello = readClientHello(bytes);
  return hello.kind === 'incomplete' ? undefined : hello;
}

async function serveOpened(socket: Socket, site: Site, { live }: ConnectionTools): Promise<void> {
  const context = await live.leaves.contextFor(site.host);
  if (context === undefined) {
    site.onExchange();
    await close(socket, live, { subject: `${site.host}:${site.port}`, reason: 'too-many-hosts' });
    return;
  }
  // A burst of handshakes is spread over turns, as content is: other sandboxes have theirs in between.
  await turnFor(live.pace, handshakeBytes);
  const secure = await openTls(socket, { context, handshakeMs: live.limits.handshakeMs });
  if (secure === undefined) {
    // Most often a program that does not trust the sandbox's authority; a denied or failed site is on record by itself.
    if (site.denied === undefined && site.failed === undefined) {
      await live.recorder.deny({ subject: `${site.host}:${site.port}`, detail: {} }, { reason: 'handshake-broken' });
    }
    return;
  }
  if (secure.alpnProtocol === 'h2') {
    serveHttp2(secure, site);
  } else {
    serveHttp1(secure, site);
  }
}

async function relayBytes(socket: Socket, site: Site, explain?: Tunnel['explain']): Promise<void> {
  const { live } = site;
  const [rule] = site.rules;
  if (rule === undefined) {
    reset(socket);
    return;
  }
  if (!isNameAdmitted(rule, site)) {
    await close(socket, live, { subject: `${site.host}:${site.port}`, reason: 'too-many-names' });
    return;
  }
  const stop = createStop();
  const release = live.book.hold({
    isAllowed: () => site.rules.some((one) => one.upstream === rule.upstream) && !site.rules.some(isAboutHttp),
    cut: () => end(stop, 'rule-removed'),
  });
  try {
    await relayTunnel(rule, { socket, site, stop, explain });
  } finally {
    release();
  }
}

/** Reset, so that the caller sees at once that nobody is there; recorded before. */
async function close(
  socket: Socket,
  live: LiveSandbox,
  { subject, reason, why = '' }: { readonly subject: string; readonly reason: string; readonly why?: string },
): Promise<void> {
  live.counts.denied += 1;
  await live.recorder.deny({ subject, detail: why === '' ? {} : { why } }, { reason });
  reset(socket);
}
