/** GWP-28, DOS-23: noise of every kind, cut anywhere, on every kind of port: no crash, no dial to what is not allowed. */
import type { Socket } from 'node:net';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { mutate } from '../fuzz/mutate.ts';
import { createRandom } from '../fuzz/random.ts';
import { clientHello, serverNames } from '../../src/proof/attacks/client-hello.ts';
import { canary, createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { flag, frame, frameType, headerBlock, preface } from '../../src/proof/attacks/http2-bytes.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { frame as webSocketFrame } from '../../src/proof/attacks/websocket-frame.ts';
import { cutInto } from '../helpers/websocket-bytes.ts';

const seed = 0x2f6e2b1;
const opened = 'mitm.example.com';
const passed = 'opaque.example.com';
const plain = 'plain.example.com';
const allowed = new Set([opened, passed, plain]);

let lab: Lab;
let sinks: Sink[];
let ports: number[];
let tlsPort: number;
const faults: unknown[] = [];
const note = (fault: unknown): void => void faults.push(fault);

beforeAll(async () => {
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  lab = await createLab({
    rules: [
      rule(opened, { ports: [443, 8443], credential: 'anthropic', http: [{ methods: ['POST', 'GET'], path: '/v1/**' }] }),
      rule(passed),
      rule(plain, { ports: [80] }),
    ],
    credentials: [credential()],
    gateway: { limits: { connectionsPerSecond: 5000, leavesPerSecond: 1000 } },
  });
  sinks = await Promise.all([
    sinkAt(lab, opened, 443),
    sinkAt(lab, opened, 8443),
    sinkAt(lab, passed, 443),
    sinkAt(lab, plain, 80, { plain: true }),
  ]);
  tlsPort = await lab.open(opened, 443);
  ports = [
    tlsPort,
    await lab.open(opened, 8443),
    await lab.open(opened, 22),
    await lab.open(passed, 443),
    await lab.open(plain, 80),
    await lab.open('denied.example.com', 443),
    await lab.open('denied.example.com', 80),
    await lab.openAddress('127.64.0.1', 53),
    await lab.openAddress('127.99.99.99', 443),
  ];
});
afterAll(async () => {
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
  await lab.close();
  sinks.forEach((sink) => sink.close());
});

const request = (method: string, host: string, rest = '\r\n'): string => `${method} /v1/x HTTP/1.1\r\nHost: ${host}\r\n${rest}`;
const upgrade =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const rows = [
  [':method', 'POST'],
  [':path', '/v1/x'],
  [':scheme', 'https'],
  [':authority', opened],
] as const;

const grounds: readonly Buffer[] = [
  ...[
    request('GET', opened),
    request('GET', plain),
    request('POST', opened, 'Content-Length: 5\r\n\r\nhello') + request('GET', opened),
    request(
      'POST',
      opened,
      'Transfer-Encoding: chunked\r\nTrailer: x\r\nExpect: 100-continue\r\n\r\n5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n',
    ),
    request('GET', opened) + request('GET', opened, upgrade),
    request('GET', opened, upgrade) +
      webSocketFrame({ code: 1, content: Buffer.from('x'), key: Buffer.alloc(4, 1) }).toString('latin1'),
    request('CONNECT', 'denied.example.com:443'),
    request('POST', opened, 'Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\0'),
    '\x04\x01\x01\xbb\xc0\0\x02\n\0',
    '\x05\x01\x00\x05\x01\x00\x01\xc0\0\x02\n\x01\xbb',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nCONNECT denied.example.com:443 HTTP/1.1\r\n\r\n',
    '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c',
    'GET /\r\n',
    'connect denied.example.com:443 HTTP/1.1\r\n\r\n',
    '\0\x1d\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03api\x07example\x03com\0\0\x01\0\x01',
  ].map((text) => Buffer.from(text, 'latin1')),
  clientHello({ extensions: [serverNames([0, opened])] }),
  clientHello({ extensions: [serverNames([0, 'denied.example.com'])] }),
  Buffer.concat([
    preface,
    frame({ type: frameType.headers, stream: 1, flags: flag.endHeaders, payload: headerBlock(rows) }),
    frame({ type: frameType.data, stream: 1, payload: Buffer.from('hello') }),
    frame({
      type: frameType.headers,
      stream: 1,
      flags: flag.endHeaders | flag.endStream,
      payload: headerBlock([['x-sum', '1']]),
    }),
    frame({ type: frameType.ping, payload: Buffer.alloc(8) }),
  ]),
];
const words = [
  '\r\n',
  '\n',
  'Host: denied.example.com\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  '0\r\n\r\n',
  'x-api-key: k\r\n',
  '\0',
  '\x16\x03\x01',
].map((word) => Buffer.from(word, 'latin1'));

/** Sends it in pieces, each in a turn of its own, and gives up at any point. */
async function send(socket: Socket, bytes: Buffer, size: number): Promise<string> {
  const pieces = size === 0 ? [bytes] : cutInto(bytes, [size, 1, 40]).slice(0, 60);
  for (const piece of pieces.slice(0, -1)) {
    socket.write(piece, () => undefined);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (await talk(socket, pieces.slice(-1), { quietMs: 40 })).text;
}

async function neighbourIsServed(): Promise<void> {
  const socket = await tlsTo(tlsPort, opened, { ca: lab.authority.certificatePem });
  const answer = await talk(socket, [request('GET', opened, 'Connection: close\r\n\r\n')], { quietMs: 2000 });
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
}

async function everywhere(count: number, open: (nth: number) => Promise<Socket>): Promise<string[]> {
  const random = createRandom(seed);
  const answers: string[] = [];
  for (let done = 0; done < count; done += 25) {
    const batch = Array.from({ length: 25 }, async (_, index) => {
      const input = mutate(random.pick(grounds), { random, words, other: random.pick(grounds), maxBytes: 3000 });
      const size = random.below(3) === 0 ? 0 : 1 + random.below(20);
      answers.push(await send(await open(done + index), random.below(5) === 0 ? random.pick(grounds) : input, size));
    });
    await Promise.all([...batch, neighbourIsServed()]);
  }
  return answers;
}

function expectNothingLeaked(answers: readonly string[]): void {
  expect(faults.splice(0)).toEqual([]);
  expect(lab.lookups.filter((name) => !allowed.has(name))).toEqual([]);
  expect(answers.join('')).not.toContain(canary);
  expect(answers.filter((text) => /^\x05\0|^\0Z/.test(text))).toEqual([]);
  const strange = sinks
    .flatMap(({ seen }) => seen)
    .filter(({ host, url, headers }) => {
      const asked = String(headers['host'] ?? headers[':authority'] ?? '').replace(/:\d+$/, '');
      return (
        (host === opened && !url.startsWith('/v1/')) || asked !== host || (host === plain && headers['x-api-key'] === canary)
      );
    });
  expect(strange).toEqual([]);
}

test('on the ports themselves (225 inputs)', async () => {
  const answers = await everywhere(225, (nth) => rawConnect(ports[nth % ports.length] ?? 0));
  expectNothingLeaked(answers);
  await neighbourIsServed();
});

test.each([['http/1.1'], ['h2']])('inside TLS that is opened, %s (150 inputs)', async (alpn) => {
  const answers = await everywhere(150, () => tlsTo(tlsPort, opened, { ca: lab.authority.certificatePem, alpn: [alpn] }));
  expectNothingLeaked(answers);
  await neighbourIsServed();
});

test('nothing is held when the noise is over', async () => {
  await expect.poll(() => lab.gateway.usage('cm-0123456789abcdef')?.openConnections, { timeout: 20_000 }).toBe(0);
});
