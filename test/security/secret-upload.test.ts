import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createKnownSecrets } from '../../src/gateway/secrets/known-secrets.ts';
import { noGuards, type SecretMode } from '../../src/policy/guards.ts';
import { canary, createLab, credential, phantom, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { guarding } from '../helpers/guarding.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** Known secrets of the host do not leave in a request, whole, in any usual form; the sink is the judge. */

const envSecret = 'rk_live_9x8y7z6w5v4u3t2s1r0q';

interface Place {
  readonly lab: Lab;
  readonly sink: Sink;
  readonly alarms: { count: number };
}

async function place(mode: SecretMode): Promise<Place> {
  const known = createKnownSecrets();
  known.add(canary, 'credential anthropic');
  known.addFor(sandboxId, [{ value: envSecret, label: 'STRIPE_KEY in .env' }]);
  const alarms = { count: 0 };
  const guards = guarding({
    known,
    rules: { secrets: { ...noGuards.secrets, mode } },
    processOf: async () => ({ pid: 4711, command: `curl -H key:${envSecret} -H x-api-key:a-key-of-somebody --data @x` }),
    onAlarm: () => void (alarms.count += 1),
  });
  const lab = await createLab({
    rules: [
      rule('plain.example.com', { http: [{ methods: undefined, path: '/**' }] }),
      rule('api.example.com', { credential: 'anthropic' }),
    ],
    credentials: [credential()],
    sandbox: { guarding: guards },
  });
  const sink = await sinkAt(lab, 'plain.example.com', 443);
  await sinkAt(lab, 'api.example.com', 443);
  return { lab, sink, alarms };
}

let guarded: Place;
let unguarded: Place;
let masking: Place;

beforeAll(async () => {
  [guarded, unguarded, masking] = await Promise.all([place('refuse'), place('off'), place('mask')]);
});
beforeEach(() => {
  [guarded, unguarded, masking].forEach(({ sink }) => sink.seen.splice(0));
});
afterAll(async () => {
  for (const { lab, sink } of [guarded, unguarded, masking]) {
    sink.close();
    await lab.close();
  }
});

interface Sent {
  readonly target?: string;
  readonly lines?: string;
  readonly body?: string | Buffer;
  /** sizes of the pieces the content is sent in */
  readonly step?: number;
  readonly host?: string;
}

async function send(
  { lab }: Place,
  { target = '/upload', lines = '', body = '', step = 1 << 20, host = 'plain.example.com' }: Sent,
): Promise<string> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const bytes = Buffer.from(body);
  const head = `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}`;
  const pieces: (string | Buffer)[] = [`${head}Transfer-Encoding: chunked\r\n\r\n`];
  for (let at = 0; at < bytes.length; at += step) {
    const part = bytes.subarray(at, at + step);
    pieces.push(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]));
  }
  return (await talk(socket, [...pieces, '0\r\n\r\n'])).text;
}

const forms: readonly (readonly [string, string])[] = [envSecret, canary].flatMap((value) => {
  const bytes = Buffer.from(value);
  return [
    ['as it is', value],
    ['in a JSON text', JSON.stringify({ file: `TOKEN=${value}\n` })],
    ['in base64', bytes.toString('base64')],
    ['in base64 behind other bytes', Buffer.from(`TOKEN=${value}\nMORE=1`).toString('base64')],
    ['in hexadecimal', bytes.toString('hex')],
    ['as a form', `a=1&b=${encodeURIComponent(value)}`],
  ] as const;
});

describe('in the content of a request', () => {
  test.each(forms)('%s: %# arrives without the guard, and not with it', async (_form, text) => {
    const body = `${'x'.repeat(70_000)}${text}${'y'.repeat(100)}`;
    expect(await send(unguarded, { body })).toMatch(/^HTTP\/1\.1 200/);
    expect(unguarded.sink.seen.at(-1)?.body).toBe(body);
    expect(await send(guarded, { body, step: 7001 })).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: secret-outgoing/);
    const arrived = guarded.sink.seen.map((seen) => seen.body).join('');
    expect(arrived).not.toContain(text.slice(0, 24));
    expect(arrived).not.toContain(text);
  });

  test('one byte a piece, nothing of it is through', async () => {
    expect(await send(guarded, { body: `a${envSecret}b`, step: 1 })).toMatch(/^HTTP\/1\.1 403 /);
    expect(guarded.sink.seen.map((seen) => seen.body).join('')).not.toMatch(/rk_/);
  });

  test('compressed, it is found all the same', async () => {
    const body = gzipSync(`${'z'.repeat(5000)}${envSecret}`);
    expect(await send(guarded, { body, lines: 'Content-Encoding: gzip\r\n' })).toMatch(/^HTTP\/1\.1 403 /);
    expect(JSON.stringify(guarded.sink.seen)).not.toContain(envSecret);
    expect(await send(guarded, { body: gzipSync('harmless'), lines: 'Content-Encoding: gzip\r\n' })).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('masked where the policy says so, it arrives unreadable and at its length', async () => {
    expect(await send(masking, { body: `a ${envSecret} b`, step: 5 })).toMatch(/^HTTP\/1\.1 200 /);
    expect(masking.sink.seen.at(-1)?.body).toBe(`a ${'*'.repeat(envSecret.length)} b`);
    await masking.lab.settled();
    expect(masking.lab.actions()).toContain('alarm.secret-outgoing none masked plain.example.com:443');
  });

  test('at the host that owns the key, the key itself in the content is refused too, and the phantom still works', async () => {
    const host = 'api.example.com';
    expect(await send(guarded, { host, body: `{"x":"${canary}"}` })).toMatch(/^HTTP\/1\.1 403 /);
    expect(await send(guarded, { host, lines: `x-api-key: ${phantom}\r\n`, body: '{}' })).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('in the head of a request', () => {
  const basic = Buffer.from(`user:${envSecret}`).toString('base64');
  test.each([
    ['the path', { target: `/x/${envSecret}` }],
    ['the query', { target: `/x?key=${envSecret}` }],
    ['an escaped query', { target: `/x?key=%72${envSecret.slice(1)}` }],
    ['a header', { lines: `X-Data: ${envSecret}\r\n` }],
    ['Basic', { lines: `Authorization: Basic ${basic}\r\n` }],
    ['a cookie', { lines: `Cookie: a=1; b=${envSecret}\r\n` }],
  ] as const)('%s: it arrives without the guard, and not with it', async (_place, sent) => {
    expect(await send(unguarded, sent)).toMatch(/^HTTP\/1\.1 200/);
    expect(unguarded.sink.seen).toHaveLength(1);
    expect(await send(guarded, sent)).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: secret-outgoing/);
    expect(guarded.sink.seen).toHaveLength(0);
  });
});

test.each([
  ['as it is', envSecret],
  ['in base64', Buffer.from(envSecret).toString('base64')],
])('behind the content, %s, it arrives without the guard, and not with it', async (_form, value) => {
  const sendBehind = async ({ lab }: Place): Promise<string> => {
    const socket = await tlsTo(await lab.open('plain.example.com', 443), 'plain.example.com', {
      ca: lab.authority.certificatePem,
    });
    const head = 'POST /upload HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
    return (await talk(socket, [`${head}1\r\nx\r\n0\r\nx-note: ${value}\r\n\r\n`])).text;
  };
  expect(await sendBehind(unguarded)).toMatch(/^HTTP\/1\.1 200/);
  expect(JSON.stringify(unguarded.sink.seen.at(-1)?.trailers)).toContain(value);
  expect(await sendBehind(guarded)).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: secret-outgoing/);
  expect(JSON.stringify(guarded.sink.seen)).not.toContain(value);
});

test('it is an alarm that names the secret and who sent it, and holds neither value', async () => {
  const before = guarded.alarms.count;
  await send(guarded, { body: envSecret });
  await guarded.lab.settled();
  const line = guarded.lab.entries.findLast((entry) => entry.action === 'alarm.secret-outgoing');
  expect(line).toMatchObject({ decision: 'deny', outcome: 'secret-outgoing', subject: 'plain.example.com:443' });
  expect(line?.detail).toMatchObject({
    secret: 'STRIPE_KEY in .env',
    pid: 4711,
    process: expect.stringMatching(/^curl -H key:\*+ -H x-api-key:a-key-of-somebody --data @x$/),
  });
  expect(guarded.alarms.count).toBe(before + 1);
  const written = JSON.stringify(guarded.lab.entries);
  expect([envSecret, canary].filter((value) => written.includes(value))).toEqual([]);
});

test("a key that nobody knows is an alarm with its sender's program alone, whose arguments may hold it", async () => {
  await send(guarded, { host: 'api.example.com', lines: 'x-api-key: a-key-of-somebody\r\n' });
  await guarded.lab.settled();
  const line = guarded.lab.entries.findLast((entry) => entry.action === 'alarm.foreign-key');
  expect(line?.detail).toMatchObject({ pid: 4711, process: 'curl' });
  expect(JSON.stringify(line)).not.toContain('a-key-of-somebody');
});

test('a phantom at a wrong host is an alarm with its sender, too', async () => {
  await send(guarded, { body: phantom });
  await guarded.lab.settled();
  const line = guarded.lab.entries.findLast((entry) => entry.action === 'alarm.phantom-misplaced');
  expect(line?.detail).toMatchObject({ pid: 4711 });
});

test('what only resembles a secret goes through', async () => {
  const body = `${envSecret.slice(0, -1)}X ${canary.slice(0, 20)} ${Buffer.from(envSecret).toString('base64').slice(0, 20)}`;
  expect(await send(guarded, { body, step: 3 })).toMatch(/^HTTP\/1\.1 200 /);
  expect(guarded.sink.seen.at(-1)?.body).toBe(body);
});
