import { randomBytes } from 'node:crypto';

import { clearAfterAll, doubtfulFramings } from '../attacks/framings.ts';
import { clearHello } from '../attacks/hellos.ts';
import { preface } from '../attacks/http2-bytes.ts';
import { otherProtocols, randomBytesFrom } from '../attacks/noise.ts';
import { provedSwitch, wrongSwitches, type SwitchTry } from '../attacks/upgrades.ts';
import { frame } from '../attacks/websocket-frame.ts';
import { callerIn, type Caller } from '../clients/caller.ts';
import type { Piece } from '../clients/talk.ts';
import { requestText } from '../clients/request-text.ts';
import type { Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { seenRow, settle, unseenRow, watch, type Oracle } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** Requests that hide others, and bytes that are no request (G12): what was not parsed and judged is not sent on. */

const nonce = (): string => randomBytes(6).toString('hex');
const { allowed, opened, denied, scripted } = hosts;

/** One place where requests are read: inside TLS that is opened, and in clear. */
interface Ground {
  readonly name: string;
  readonly host: string;
  readonly say: Caller['plain'];
  /** a request that is not allowed there */
  readonly forbidden: (mark: string) => string;
  readonly legal: (mark: string, isLast?: boolean) => string;
}

function grounds({ twin }: Lab): readonly Ground[] {
  const caller = callerIn(twin);
  return [
    {
      name: 'inside TLS',
      host: opened,
      say: caller.secure,
      forbidden: (mark) => requestText({ host: opened, target: `/v1/files?${mark}` }),
      legal: (mark, isLast) => requestText({ host: opened, target: `/v1/echo?${mark}`, isLast }),
    },
    {
      name: 'in clear',
      host: allowed,
      say: caller.plain,
      forbidden: (mark) => requestText({ host: denied, target: `/?${mark}` }),
      legal: (mark, isLast) => requestText({ host: allowed, target: `/?${mark}`, isLast }),
    },
  ];
}

async function smuggle({ name, host, say, forbidden, legal }: Ground, oracle: Oracle): Promise<() => readonly Row[]> {
  const foreignKey = nonce();
  const tries = Object.keys(doubtfulFramings({ head: '', smuggled: '', foreignKey })).map((variant) => {
    const [first, second] = [nonce(), nonce()];
    const head = `POST /v1/messages?${first} HTTP/1.1\r\nHost: ${host}\r\n`;
    const bytes = doubtfulFramings({ head, smuggled: forbidden(second), foreignKey })[variant] ?? '';
    return { variant, first, second, bytes };
  });
  const control = nonce();
  await Promise.all([
    ...tries.map(({ bytes }) => say({ host }, [bytes], { quietMs: 2500 })),
    say({ host }, [legal(control)], { quietMs: 5000 }),
  ]);
  return () => [
    ...tries.map(({ variant, first, second }) => {
      const marks = clearAfterAll.has(variant) ? [second] : [first, second];
      return unseenRow(
        `${name}: ${variant}`,
        marks.flatMap((mark) => oracle.with(mark)),
      );
    }),
    unseenRow(`${name}: a key behind the content`, oracle.with(foreignKey)),
    seenRow(`${name}: one whole request`, oracle.with(control)),
  ];
}

/** The other ways in which several requests come on one connection. */
async function follow({ name, host, say, forbidden, legal }: Ground, oracle: Oracle): Promise<() => readonly Row[]> {
  const [first, second, third, fourth] = [nonce(), nonce(), nonce(), nonce()];
  await say({ host }, [legal(first, false), forbidden(second)], { gapMs: 150 });
  await say({ host }, [legal(third, false) + forbidden(fourth)]);
  return () => [
    unseenRow(`${name}: a request that is not allowed behind one that is`, oracle.with(second)),
    unseenRow(`${name}: both in one piece`, oracle.with(fourth)),
    seenRow(`${name}: the one before`, oracle.with(first)),
    seenRow(`${name}: the one before, in one piece`, oracle.with(third)),
  ];
}

/** Byte by byte, and more at once than belongs together: the same is refused. */
async function drip({ name, host, say, forbidden, legal }: Ground, oracle: Oracle): Promise<() => readonly Row[]> {
  const [dripped, control] = [nonce(), nonce()];
  const bytesOf = (text: string): readonly string[] => text.split('');
  await Promise.all([
    say({ host }, bytesOf(forbidden(dripped)), { gapMs: 1 }),
    say({ host }, bytesOf(legal(control)), { gapMs: 1 }),
  ]);
  return () => [
    unseenRow(`${name}: a request that is not allowed, byte by byte`, oracle.with(dripped)),
    seenRow(`${name}: one that is allowed, byte by byte`, oracle.with(control)),
  ];
}

type Attempt = (ground: Ground, oracle: Oracle) => Promise<() => readonly Row[]>;

async function onEachGround(lab: Lab, attempt: Attempt): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const rows = await Promise.all(grounds(lab).map((ground) => attempt(ground, oracle)));
  await settle();
  return rows.flatMap((now) => now());
}

/** Bytes that are told of by nothing but their mark, sent when the switch should be done. */
async function switchOver(lab: Lab, { bytes }: SwitchTry, behind: readonly Piece[]): Promise<void> {
  await callerIn(lab.twin).secure({ host: scripted }, [bytes, ...behind], { gapMs: 150, quietMs: 300 });
}

function framed(text: string): Buffer {
  return frame({ code: 1, content: Buffer.from(text), key: Buffer.alloc(4) });
}

async function upgrades(lab: Lab): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const parts = (target: string) => ({ host: scripted, target });
  const tries = Object.keys(wrongSwitches(parts('/'))).map((name) => ({ name, mark: nonce() }));
  const answers = new Map<string, string>();
  const plan = (mark: string, make: (target: string) => SwitchTry | undefined): SwitchTry => {
    const made = make(`/live/${mark}`) ?? { bytes: '', answer: '' };
    answers.set(`/live/${mark}`, made.answer);
    return made;
  };
  const [raw, own] = [nonce(), nonce()];
  lab.world.script(({ url = '' }) => answers.get(url) ?? 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
  await Promise.all([
    ...tries.map(({ name, mark }) =>
      switchOver(
        lab,
        plan(mark, (target) => wrongSwitches(parts(target))[name]),
        [framed(mark), `raw ${mark}`],
      ),
    ),
    switchOver(
      lab,
      plan(raw, (target) => provedSwitch(parts(target))),
      [`raw ${raw}`],
    ),
    switchOver(
      lab,
      plan(own, (target) => provedSwitch(parts(target))),
      [framed(own)],
    ),
  ]);
  await settle();
  lab.world.script(undefined);
  const behind = (mark: string) => oracle.requests().filter(({ url, body = '' }) => url?.endsWith(mark) === true && body !== '');
  return [
    ...tries.map(({ name, mark }) => unseenRow(`bytes behind ${name}`, behind(mark))),
    unseenRow('bytes that are no frames, behind a switch that is proved', behind(raw)),
    seenRow('a frame behind a switch that is proved', behind(own)),
  ];
}

async function otherTongues(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const mark = nonce();
  const legal = requestText({ host: opened, target: `/v1/echo?${mark}` });
  const entries = Object.entries(otherProtocols(denied));
  const places = [opened, allowed, denied].flatMap((host) => [443, 80].map((port) => ({ host, port })));
  await Promise.all([
    ...places.flatMap((place) => entries.map(([, bytes]) => caller.plain(place, [bytes], { quietMs: 250 }))),
    caller.secure({ host: opened, protocols: ['h2'] }, [legal]),
    caller.secure({ host: opened, protocols: ['http/1.1'] }, [preface, legal]),
    ...['spdy/3.1', 'http/0.9', 'acme-tls/1', 'h2c'].map((one) => caller.secure({ host: opened, protocols: [one] }, [legal])),
  ]);
  await settle();
  const arrived = [...oracle.arrived()];
  const control = nonce();
  await caller.secure({ host: opened }, [requestText({ host: opened, target: `/v1/echo?${control}` })]);
  return [
    ...places.map(({ host, port }) =>
      unseenRow(
        `${entries.length} protocols on ${host}:${port}`,
        arrived.filter((one) => one.host === host),
      ),
    ),
    unseenRow('connections in all', arrived),
    unseenRow('HTTP of another version than was agreed', oracle.with(mark)),
    seenRow('HTTP of the version that was agreed', oracle.with(control)),
  ];
}

async function noise(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const seeds = randomBytesFrom('casemate', 160);
  const places = [allowed, denied, opened].flatMap((host) => [443, 80].map((port) => ({ host, port })));
  for (let at = 0; at < seeds.length; at += 40) {
    const some = seeds.slice(at, at + 40);
    // oxlint-disable-next-line no-await-in-loop -- as many at a time as one sandbox may have in a second, and no more
    await Promise.all(
      some.map((bytes, index) => caller.plain(places[index % places.length] ?? { host: allowed }, [bytes], { quietMs: 200 })),
    );
  }
  await settle();
  const arrived = [...oracle.arrived()];
  const control = nonce();
  await caller.secure({ host: opened }, [requestText({ host: opened, target: `/v1/echo?${control}` })]);
  return [unseenRow(`${seeds.length} pieces of noise`, arrived), seenRow('a request behind all of it', oracle.with(control))];
}

/** A greeting, byte by byte and with more behind it, to a host that is passed through. */
async function greetings(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const place = { host: allowed, port: 443 };
  const wrong = clearHello(denied);
  const bytesOf = (bytes: Buffer): readonly Buffer[] => [...bytes].map((byte) => Buffer.from([byte]));
  await Promise.all([
    caller.plain(place, bytesOf(wrong), { gapMs: 1, quietMs: 200 }),
    caller.plain(place, [Buffer.concat([wrong, Buffer.from(requestText({ host: denied }))])], { quietMs: 200 }),
    caller.plain(place, [wrong.subarray(0, 5), wrong.subarray(5)], { gapMs: 50, quietMs: 200 }),
  ]);
  await settle(50);
  const arrived = [...oracle.arrived()];
  await caller.plain(place, bytesOf(clearHello(allowed)), { gapMs: 1, quietMs: 200 });
  await settle(50);
  return [
    unseenRow('a greeting for another name, in pieces and with more behind it', arrived),
    seenRow('a greeting for the right name, byte by byte', oracle.arrived().slice(arrived.length)),
  ];
}

export const requestProbes: ProbeTable = {
  'requests.framing': {
    where: 'lab',
    title: 'hide a second request in one whose end can be read in two ways',
    proves: ['G12'],
    profile: 'full',
    source: 'CVE-2025-22871, CVE-2022-32213 to 32215, CVE-2025-23167, CVE-2026-2833; RFC 9112 section 11.2',
    run: async (lab) => ({ rows: await onEachGround(lab, smuggle) }),
  },
  'requests.second': {
    where: 'lab',
    title: 'send a request that is not allowed behind one that is, on the same connection',
    proves: ['G12', 'G11'],
    profile: 'full',
    source: 'keep-alive isolation of OpenShell',
    run: async (lab) => ({ rows: await onEachGround(lab, follow) }),
  },
  'requests.pieces': {
    where: 'lab',
    title: 'get another verdict by sending byte by byte, or more at once',
    proves: ['G12', 'G11'],
    profile: 'full',
    source: 'drip tests of sandbox-runtime',
    run: async (lab) => ({ rows: [...(await onEachGround(lab, drip)), ...(await greetings(lab))] }),
  },
  'requests.upgrade': {
    where: 'lab',
    title: 'turn a connection that is read into one that is not, by a switch of protocols',
    proves: ['G12'],
    profile: 'full',
    source: 'CVE-2026-2833; h2c smuggling; RFC 6455 section 4',
    run: async (lab) => ({ rows: await upgrades(lab) }),
  },
  'requests.other-protocols': {
    where: 'lab',
    title: 'speak other protocols where TLS and HTTP are spoken',
    proves: ['G12', 'G10'],
    profile: 'full',
    source: 'a first byte that is not TLS turned inspection off in sandbox-runtime',
    run: async (lab) => ({ rows: await otherTongues(lab) }),
  },
  'requests.noise': {
    where: 'lab',
    title: 'send bytes without a meaning',
    proves: ['G12'],
    profile: 'full',
    source: 'SOCKS fuzzing of sandbox-runtime, 200 seeded runs',
    run: async (lab) => ({ rows: await noise(lab) }),
  },
};
