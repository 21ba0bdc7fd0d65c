/** GWP-19, DOS-23 over HTTP/2: floods end their own connection, bring little to the upstream, and leave others alone. */
import { createServer } from 'node:tls';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { createLab, credential, listen, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { flag, frame, frameType, headerBlock, preface } from '../../src/proof/attacks/http2-bytes.ts';
import { http2Get } from '../helpers/http2-client.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { ownTime } from '../helpers/own-time.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { watchProcessFaults, type ProcessFaults } from '../helpers/process-faults.ts';

const host = 'mitm.example.com';
const byBytes = 'bytes.example.com';
const narrow = 'narrow.example.com';
type Row = readonly [string, string];
const get: readonly Row[] = [
  [':method', 'GET'],
  [':path', '/a'],
  [':scheme', 'https'],
  [':authority', host],
];
const post: readonly Row[] = [[':method', 'POST'], ...get.slice(1)];
const ended = flag.endHeaders | flag.endStream;
const headers = (stream: number, rows: readonly Row[] = get, flags: number = ended): Buffer =>
  frame({ type: frameType.headers, stream, flags, payload: headerBlock(rows) });
const reset = (stream: number): Buffer => frame({ type: frameType.reset, stream, payload: Buffer.from([0, 0, 0, 8]) });
const times = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));

let lab: Lab;
let sink: Sink;
let port: number;
let faults: ProcessFaults;

beforeAll(async () => {
  faults = watchProcessFaults();
  lab = await createLab({
    rules: [
      rule(host, { credential: 'anthropic' }),
      rule(byBytes, { credential: 'anthropic' }),
      rule(narrow, { http: [{ methods: ['POST'], path: '/b' }] }),
    ],
    credentials: [credential()],
  });
  sink = await sinkAt(lab, host, 443);
  port = await lab.open(host, 443);
});
afterAll(async () => {
  faults.stop();
  await lab.close();
  sink.close();
});
afterEach(() => expect(faults.taken()).toEqual([]));

interface Told {
  readonly types: readonly number[];
  readonly goaway: number | undefined;
  readonly end: string;
  /** requests that came to the upstream */
  readonly arrived: number;
  /** processor time of this process until the other connection had its answer */
  readonly neighbourMs: number;
}

/** Sends it, while another connection asks as usual. */
async function flood(bytes: Buffer): Promise<Told> {
  const before = sink.seen.filter(({ url }) => url === '/a').length;
  const flooding = talk(await tlsTo(port, host, { ca: lab.authority.certificatePem, alpn: ['h2'] }), [preface, bytes], {
    quietMs: 500,
  });
  const took = ownTime();
  const neighbour = await http2Get(port, { host, ca: lab.authority.certificatePem, path: '/neighbour' });
  const neighbourMs = took();
  expect(neighbour).toMatchObject({ status: 200, code: 0 });
  const { text, end } = await flooding;
  await lab.settled();
  return { ...framesIn(text), end, arrived: sink.seen.filter(({ url }) => url === '/a').length - before, neighbourMs };
}

test('the control: one request by hand is answered', async () => {
  const told = await flood(headers(1));
  expect(told).toMatchObject({ arrived: 1, goaway: undefined });
  expect(told.types).toContain(frameType.data);
});

test.each<[string, Buffer]>([
  [
    'streams opened and reset at once (CVE-2023-44487)',
    times(3000, (index) => Buffer.concat([headers(2 * index + 1), reset(2 * index + 1)])),
  ],
  ['settings', times(20_000, () => frame({ type: frameType.settings }))],
  [
    'continuations without content (CVE-2024-27983)',
    Buffer.concat([headers(1, get, 0), times(5000, () => frame({ type: frameType.continuation, stream: 1 }))]),
  ],
  [
    'continuations without end',
    Buffer.concat([
      headers(1, get, 0),
      times(2000, () => frame({ type: frameType.continuation, stream: 1, payload: headerBlock([['a', 'b'.repeat(8000)]]) })),
    ]),
  ],
  [
    'windows that overflow',
    Buffer.concat([headers(1), times(3, () => frame({ type: frameType.window, payload: Buffer.from([0x7f, 255, 255, 255]) }))]),
  ],
  ['a window of nothing', Buffer.concat([headers(1), frame({ type: frameType.window, payload: Buffer.alloc(4) })])],
  [
    'a promise to push',
    Buffer.concat([headers(1), frame({ type: frameType.push, stream: 1, flags: 4, payload: Buffer.from([0, 0, 0, 2]) })]),
  ],
  ['content for a stream that is not there', frame({ type: frameType.data, stream: 99, payload: Buffer.from('x') })],
  ['a frame that is too long', frame({ type: frameType.data, stream: 1, payload: Buffer.alloc(20_000) })],
])('%s: the connection is ended', async (_name, bytes) => {
  const told = await flood(bytes);
  expect(told.end).not.toBe('timeout');
  expect(told.arrived).toBeLessThanOrEqual(2);
  expect(told.neighbourMs).toBeLessThan(1000);
});

test('pings are answered, and answers that nobody reads are not collected', async () => {
  const told = await flood(times(20_000, () => frame({ type: frameType.ping, payload: Buffer.alloc(8) })));
  expect(told.neighbourMs).toBeLessThan(1000);
});

test.each<[string, readonly Row[]]>([
  ['another authority', [...get.slice(0, 3), [':authority', 'other.example.com']]],
  ['a second host', [...get, ['host', 'other.example.com']]],
  ['no authority', get.slice(0, 3)],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', host],
    ],
  ],
  ['an extended CONNECT', [[':method', 'CONNECT'], [':protocol', 'websocket'], ...get.slice(1)]],
  ['an asterisk', [[':method', 'OPTIONS'], [':path', '*'], ...get.slice(2)]],
  ['an absolute target', [get[0] ?? ['', ''], [':path', `https://${host}/a`], ...get.slice(2)]],
  ['a connection header', [...get, ['connection', 'close']]],
  ['a transfer coding', [...get, ['transfer-encoding', 'chunked']]],
  ['a line break in the path', [get[0] ?? ['', ''], [':path', '/a HTTP/1.1\r\nX: y'], ...get.slice(2)]],
  ['a capital in a name', [...get, ['X-Large', 'a']]],
  ['a pseudo header at the end', [...get, ['x', 'y'], [':path', '/b']]],
  ['two paths', [...get, [':path', '/b']]],
])('a request with %s never comes to the upstream', async (_name, rows) => {
  const told = await flood(headers(1, rows));
  expect(told.arrived).toBe(0);
});

test('a field that could be read as two is left out', async () => {
  const rows: readonly Row[] = [...get, ['x', 'a\r\nx-smuggled: 1'], ['a:b', 'x-smuggled'], ['y', 'a\0b x-smuggled']];
  expect((await flood(headers(1, rows))).arrived).toBe(1);
  expect(JSON.stringify(sink.seen)).not.toContain('x-smuggled');
});

test('content that is longer than its stated length never completes a request', async () => {
  const rows: readonly Row[] = [...post, ['content-length', '3']];
  const told = await flood(
    Buffer.concat([
      headers(1, rows, flag.endHeaders),
      frame({
        type: frameType.data,
        stream: 1,
        flags: flag.endStream,
        payload: Buffer.from('abcGET /smuggled HTTP/1.1\r\n\r\n'),
      }),
    ]),
  );
  expect(told.arrived).toBeLessThanOrEqual(1);
  expect(JSON.stringify(sink.seen)).not.toContain('smuggled');
});

test('content in frames of one byte goes on in few pieces', async () => {
  const count = 5000;
  let got = '';
  const leaf = { key: lab.upstreamLeaves.privateKeyPem, cert: await lab.upstreamLeaves.sign(byBytes) };
  const upstream = createServer({ ...leaf, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (piece: Buffer) => {
      got += piece.toString('latin1');
      if (got.endsWith('0\r\n\r\n')) {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }
    });
  });
  lab.route(byBytes, 443, await listen(upstream));
  const rows = post.map(([name, value]): Row => [name, name === ':authority' ? byBytes : value]);
  const bytes = Buffer.concat([
    preface,
    headers(1, rows, flag.endHeaders),
    times(count, () => frame({ type: frameType.data, stream: 1, payload: Buffer.from('x') })),
    frame({ type: frameType.data, stream: 1, flags: flag.endStream }),
  ]);
  const at = await lab.open(byBytes, 443);
  const { text } = await talk(await tlsTo(at, byBytes, { ca: lab.authority.certificatePem, alpn: ['h2'] }), [bytes]);
  upstream.close();
  expect(framesIn(text).types).toContain(frameType.data);
  const content = got.slice(got.indexOf('\r\n\r\n') + 4);
  expect(content.split('x').length - 1).toBe(count);
  expect(content.split('\r\n').length / 2).toBeLessThan(count / 5);
});

test('of a hundred requests that come at once few are begun in one turn, so that others have theirs in between', async () => {
  const denied = get.map(([name, value]): Row => [name, name === ':authority' ? narrow : value]);
  const at = await lab.open(narrow, 443);
  const count = (): number => lab.gateway.usage(sandboxId)?.denied ?? 0;
  const before = count();
  let last = before;
  let most = 0;
  let isOver = false;
  const look = (): void => {
    const now = count();
    most = Math.max(most, now - last);
    last = now;
    if (!isOver) {
      setImmediate(look);
    }
  };
  look();
  const sent = Buffer.concat([preface, times(100, (index) => headers(2 * index + 1, denied))]);
  const { text } = await talk(await tlsTo(at, narrow, { ca: lab.authority.certificatePem, alpn: ['h2'] }), [sent]);
  isOver = true;
  expect(framesIn(text).goaway).toBeUndefined();
  expect(count() - before).toBe(100);
  expect(most).toBeLessThan(30);
});

test('of far more requests than may be carried out at once most are cut at once, and it is on record', async () => {
  const small = await createLab({ rules: [rule(host, { http: [] })], gateway: { limits: { exchanges: 4 } } });
  const at = await small.open(host, 443);
  const sent = Buffer.concat([preface, times(100, (index) => headers(2 * index + 1))]);
  const { text } = await talk(await tlsTo(at, host, { ca: small.authority.certificatePem, alpn: ['h2'] }), [sent]);
  await small.settled();
  await small.close();
  const { types } = framesIn(text);
  const answered = types.filter((type) => type === frameType.headers).length;
  expect(answered).toBeGreaterThanOrEqual(16);
  expect(types.filter((type) => type === frameType.reset).length).toBeGreaterThan(10);
  expect(answered).toBeLessThan(90);
  expect(small.entries.filter(({ outcome }) => outcome === 'too-busy').length).toBeGreaterThan(10);
});

test('fields that are too large are refused in words, and are on record', async () => {
  const fields = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`x-${index}`, 'y'.repeat(130)]));
  const answer = await http2Get(port, { host, ca: lab.authority.certificatePem, headers: fields });
  expect(answer).toMatchObject({ status: 431, text: expect.stringMatching(/^casemate: .*\n.*\(headers-too-large\)/) });
  await lab.settled();
  expect(lab.lastDenial()).toMatchObject({ outcome: 'headers-too-large', subject: `${host}:443` });
});

/** The types of the frames in an answer, and the error code of a GOAWAY where there is one. */
function framesIn(text: string): { readonly types: readonly number[]; readonly goaway: number | undefined } {
  const bytes = Buffer.from(text, 'latin1');
  const types: number[] = [];
  let goaway: number | undefined;
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const type = bytes.readUInt8(at + 3);
    types.push(type);
    if (type === frameType.goaway && at + 17 <= bytes.length) {
      goaway = bytes.readUInt32BE(at + 13);
    }
  }
  return { types, goaway };
}
