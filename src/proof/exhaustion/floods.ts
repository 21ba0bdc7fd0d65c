import { clearHello } from '../attacks/hellos.ts';
import { flag, frame, frameType, headerBlock, preface } from '../attacks/http2-bytes.ts';
import { callerIn } from '../clients/caller.ts';
import { http2In, type Http2Caller } from '../clients/http2-session.ts';
import { requestText } from '../clients/request-text.ts';
import { talk } from '../clients/talk.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Hold } from '../lab/hand.ts';
import { settle, watch } from '../oracle.ts';
import type { Attack, AttackTable, Field } from './attack.ts';
import { processFigures, startOf } from './figures.ts';

/** What a sandbox can do to the gateway: endless connections, requests, streams and DNS queries. */

const mebi = 1024 * 1024;
/** As the gateway is to keep them. Not read from it: what is not kept must not move the measure as well. */
export const floodBounds = { connections: 512, connectionsPerSecond: 200, queriesPerSecond: 2000, exchanges: 512 } as const;
const { connections, connectionsPerSecond, queriesPerSecond, exchanges } = floodBounds;

export const floodAttacks: AttackTable = {
  connections: {
    title:
      'hold connections to the gateway without end: silent, with half a request, with half a greeting, with answers nobody reads',
    source: 'CVE-2007-6750 (Slowloris); CVE-2018-12122',
    bounds: { daemonBytes: 512 * mebi, descriptors: 2 * connections + 256 },
    run: holdConnections,
  },
  'connection-rate': {
    title: 'open connections, many at a moment, as fast as they go',
    source: 'work for each connection: a listener, a record, a verdict',
    run: openConnections,
  },
  'large-heads': {
    title: 'send heads of requests that are too large in every direction',
    source: 'CVE-2018-12121',
    run: sendLargeHeads,
  },
  streams: {
    title: 'ask on many streams of HTTP/2 at once, and break their rules without end',
    source: 'CVE-2023-44487, CVE-2024-27983, CVE-2019-9512, CVE-2019-9515',
    run: openStreams,
  },
  questions: {
    title: 'ask the resolver for names without end',
    source: 'floods of look-ups; each could be work and a record',
    run: askWithoutEnd,
  },
};

/** Measured, not judged: what is allowed may be used, and processors are shared. */
export const measuredFloods: AttackTable = {
  denials: measured('ask for what is denied without end', 'denied_requests', { most: 3000, words: [hosts.denied, '80'] }),
  bulk: measured('send bytes through a connection as fast as they go', 'bulk', {
    most: 2000,
    words: [hosts.allowed, '443', clearHello(hosts.allowed).toString('hex'), '4'],
  }),
};

function measured(title: string, take: string, { most, words }: { most: number; words: readonly string[] }): Attack {
  return {
    title,
    async run(field) {
      const hold = await flood(field, take, most, words);
      return [control(title, { expected: 'some', seen: String(hold.taken), ok: hold.taken > 0 })];
    },
  };
}

/** Floods, and lets go of it. */
async function flood({ hand }: Field, take: string, most: number, words: readonly string[]): Promise<Hold> {
  const hold = await (await hand()).take(take, most, words);
  await hold.release();
  return hold;
}

/** The nearest legal thing, when it is over. */
async function ownRow({ attacker }: Field): Promise<Row> {
  const text = requestText({ host: hosts.allowed, lines: ['Connection: close'] });
  let seen = '';
  for (const end = performance.now() + 30_000; performance.now() < end && !seen.startsWith('HTTP/1.1 200');) {
    // oxlint-disable-next-line no-await-in-loop -- new connections are given again a moment later
    await settle(200);
    // oxlint-disable-next-line no-await-in-loop -- as above
    seen = (await callerIn(attacker).plain({ host: hosts.allowed }, [text])).text.slice(0, 12);
  }
  return control('a request of its own afterwards', { expected: 'HTTP/1.1 200', seen, ok: seen === 'HTTP/1.1 200' });
}

interface Crowd {
  readonly what: string;
  readonly take: string;
  readonly words: readonly string[];
  /** descriptors that the gateway has for one of them */
  readonly each: number;
}

const crowds: readonly Crowd[] = [
  { what: 'silent connections', take: 'idle_connections', words: [hosts.allowed, '80'], each: 1 },
  { what: 'connections with half a request', take: 'slow_heads', words: [hosts.allowed, '80'], each: 1 },
  { what: 'connections with half a greeting', take: 'half_greetings', words: [hosts.allowed, '443'], each: 1 },
  { what: 'connections with answers that nobody reads', take: 'unread_answers', words: [hosts.allowed, '80'], each: 2 },
];
const tried = 1200;
/** Of the peer, of `casemate ls` and of files that are open for a moment. */
const others = 64;

async function holdConnections(field: Field): Promise<readonly Row[]> {
  const large = 'x'.repeat(mebi / 2);
  field.lab.world.respond(({ url }) => (url === '/large' ? { status: 200, body: large } : { status: 200 }));
  try {
    const rows: Row[] = [];
    for (const crowd of crowds) {
      // oxlint-disable-next-line no-await-in-loop -- one crowd at a time
      rows.push(...(await holdCrowd(field, crowd)));
    }
    return [...rows, await ownRow(field)];
  } finally {
    field.lab.world.respond(undefined);
  }
}

/**
 * Counted from outside, by descriptors of the gateway: inside, what waits in the queue of the listener is open as well, and
 * what is refused is so when the gateway comes to it.
 */
async function holdCrowd(field: Field, { what, take, words, each }: Crowd): Promise<readonly Row[]> {
  const pid = await field.lab.daemon.pid();
  const started = await startOf(pid);
  const descriptors = async (): Promise<number> => (await processFigures(pid, started))?.descriptors ?? 0;
  const before = await descriptors();
  let most = before;
  const timer = setInterval(() => void descriptors().then((now) => (most = Math.max(most, now))), 100);
  const { taken, counts } = await flood(field, take, tried, words);
  clearInterval(timer);
  const bound = connections * each + others;
  return [
    attack(what, {
      expected: `at most ${bound} descriptors of the gateway`,
      seen: `${most - before}, ${taken} tried`,
      ok: most - before <= bound,
      from: 'outside',
    }),
    control(`${what}: the first`, { expected: 'open', seen: `${counts['open']} open`, ok: Number(counts['open'] ?? 0) > 0 }),
  ];
}

/** At one moment: more than may be begun, fewer than may be held. One after the other would be slower than the bound on a busy machine. */
const atOnce = 300;

/** Each with a request that is answered at once: what is answered was taken in. */
async function openConnections(field: Field): Promise<readonly Row[]> {
  const text = requestText({ host: hosts.denied, lines: ['Connection: close'] });
  const words = [hosts.denied, '80', Buffer.from(text).toString('hex'), String(atOnce)];
  const hold = await flood(field, 'given_request', 2500, words);
  const seconds = Number(hold.counts['ms'] ?? 0) / 1000;
  const most = Math.ceil(connectionsPerSecond * (seconds + 1) * 1.1);
  const answered = Number(hold.counts['status 403'] ?? 0);
  return [
    attack('connections that were taken in', {
      expected: `at most ${most} in ${seconds.toFixed(1)} s`,
      seen: `${answered} of ${hold.taken}`,
      ok: answered <= most,
    }),
    control('the first of them', { expected: 'answered', seen: `${answered} answered`, ok: answered > 0 }),
    await ownRow(field),
  ];
}

async function sendLargeHeads(field: Field): Promise<readonly Row[]> {
  const oracle = watch(field.lab.world);
  const { counts } = await flood(field, 'large_heads', 1, [hosts.allowed, '80']);
  const rows = Object.entries(counts).map(([what, seen]) =>
    attack(`a head with ${what}`, {
      expected: 'refused or cut',
      seen: String(seen),
      ok: /^(?:4\d\d|cut)(?: cut)?$/.test(String(seen)),
    }),
  );
  const own = await ownRow(field);
  const arrived = oracle.arrived().filter(({ kind, server, url }) => kind === 'request' && server === 'plain' && url !== '/peer');
  return [
    ...rows,
    attack('large heads that came to the upstream', {
      expected: 'none',
      seen: String(Math.max(0, arrived.length - 1)),
      ok: arrived.length <= 1,
      from: 'outside',
    }),
    own,
  ];
}

const sessions = 7;
const streamsEach = 100;

async function openStreams(field: Field): Promise<readonly Row[]> {
  return [...(await manyStreams(field)), ...(await brokenRules(field)), await ownRow(field)];
}

/** None of them is answered until all have come. */
async function manyStreams({ lab, attacker }: Field): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const waiting = Promise.withResolvers<{ readonly status: number }>();
  lab.world.respond(({ url = '' }) => (url.startsWith('/stream') ? waiting.promise : { status: 200 }));
  const callers: Http2Caller[] = [];
  try {
    const asked: Promise<string>[] = [];
    for (let nth = 0; nth < sessions; nth += 1) {
      // oxlint-disable-next-line no-await-in-loop -- this process has the other end of each, and measures besides
      const caller = await http2In(callerIn(attacker), { host: hosts.judged });
      callers.push(caller);
      asked.push(...Array.from({ length: streamsEach }, (_, index) => caller.ask({ ':path': `/stream-${nth}-${index}` })));
      // oxlint-disable-next-line no-await-in-loop -- as above
      await settle(100);
    }
    const answers = await Promise.all(asked);
    const arrived = oracle.arrived().filter(({ url }) => url?.startsWith('/stream') === true).length;
    const refused = answers.filter((answer) => answer === '503' || answer === '429' || answer === 'reset').length;
    return [
      attack('requests that came to the upstream at once', {
        expected: `at most ${exchanges}`,
        seen: `${arrived} of ${asked.length}, ${refused} refused`,
        ok: arrived <= exchanges,
        from: 'outside',
      }),
      control('requests on streams', { expected: 'some arrive', seen: String(arrived), ok: arrived > 0, from: 'outside' }),
    ];
  } finally {
    waiting.resolve({ status: 200 });
    callers.forEach((caller) => caller.close());
    lab.world.respond(undefined);
  }
}

type Fields = readonly (readonly [string, string])[];

const asking: Fields = [
  [':method', 'GET'],
  [':path', '/broken-rules'],
  [':scheme', 'https'],
  [':authority', hosts.judged],
];
const times = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
const opening = (stream: number, flags: number): Buffer =>
  frame({ type: frameType.headers, stream, flags, payload: headerBlock(asking) });
const whole = flag.endHeaders | flag.endStream;
const longField = (): Buffer => headerBlock([['a', 'b'.repeat(8000)]]);

/** Each ends its own connection, and little of it comes to the upstream. Made when asked: some are of megabytes. */
const floods: Readonly<Record<string, () => Buffer>> = {
  'streams opened and reset at once': () =>
    times(3000, (index) =>
      Buffer.concat([
        opening(2 * index + 1, whole),
        frame({ type: frameType.reset, stream: 2 * index + 1, payload: Buffer.from([0, 0, 0, 8]) }),
      ]),
    ),
  settings: () => times(20_000, () => frame({ type: frameType.settings })),
  'continuations without content': () =>
    Buffer.concat([opening(1, 0), times(5000, () => frame({ type: frameType.continuation, stream: 1 }))]),
  'continuations without end': () => {
    const one = frame({ type: frameType.continuation, stream: 1, payload: longField() });
    return Buffer.concat([opening(1, 0), times(1000, () => one)]);
  },
};

async function brokenRules({ lab, attacker }: Field): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const [what, make] of Object.entries(floods)) {
    const oracle = watch(lab.world);
    // oxlint-disable-next-line no-await-in-loop -- one flood at a time
    const socket = await callerIn(attacker).openTls({ host: hosts.judged, protocols: ['h2'] });
    // oxlint-disable-next-line no-await-in-loop -- as above
    const { end } = await talk(socket, [preface, make()], { quietMs: 2000 });
    const arrived = oracle.arrived().filter(({ url }) => url === '/broken-rules').length;
    rows.push(
      attack(what, {
        expected: 'the connection is ended, at most 2 requests arrive',
        seen: `${end}, ${arrived} arrived`,
        ok: end !== 'quiet' && arrived <= 2,
        from: 'outside',
      }),
    );
  }
  return rows;
}

async function askWithoutEnd(field: Field): Promise<readonly Row[]> {
  // So long that what the first second begins with matters little: a busy machine answers not many more than the bound in a second.
  const { taken, counts } = await flood(field, 'questions', 8000, [hosts.denied]);
  const answered = Number(counts['answered'] ?? 0);
  // As long as it went on, which is longer than it was told where the processor is shared.
  const seconds = Number(counts['ms'] ?? 0) / 1000;
  const most = Math.ceil(queriesPerSecond * (seconds + 1.5));
  return [
    attack('questions that were answered', {
      expected: `at most ${most} in ${seconds.toFixed(1)} s`,
      seen: `${answered} of ${taken}`,
      ok: answered <= most,
    }),
    control('the first question', { expected: 'answered', seen: `${answered} answered`, ok: answered > 0 }),
    await ownRow(field),
  ];
}
