/** SEC-07: what is compressed is searched like all else. Content goes on in the clear, so nobody reads something else in it. */
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo, type RawAnswer } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

const codings: Readonly<Record<string, (text: Buffer) => Buffer>> = {
  gzip: gzipSync,
  'x-gzip': gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};
const own = 'own.example.com';
const other = 'other.example.com';

let lab: Lab;
let sinks: Sink[];

beforeAll(async () => {
  lab = await createLab({
    // With functions named, or TLS to it would be passed on unread.
    rules: [rule(own, { credential: 'anthropic' }), rule(other, { http: [{ methods: ['POST'], path: '/**' }] })],
    credentials: [credential()],
  });
  sinks = await Promise.all([sinkAt(lab, own, 443), sinkAt(lab, other, 443)]);
});
afterAll(async () => {
  await lab.close();
  sinks.forEach((sink) => sink.close());
});
beforeEach(() => {
  lab.entries.length = 0;
  sinks.forEach(({ seen }) => void (seen.length = 0));
});

async function post(host: string, coding: string, content: Buffer, more = ''): Promise<RawAnswer> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const head = `POST /v1 HTTP/1.1\r\nHost: ${host}\r\nContent-Encoding: ${coding}\r\nContent-Length: ${content.length}\r\n${more}Connection: close\r\n\r\n`;
  return talk(socket, [head, content], { quietMs: 3000 });
}

function arrived(): string {
  return sinks.flatMap(({ seen }) => seen.map(({ body }) => body)).join('');
}

describe.each(Object.entries(codings))('%s', (coding, compress) => {
  test('the control: content arrives, in the clear and as such', async () => {
    const answer = await post(other, coding, compress(Buffer.from('hello '.repeat(1000))), 'Content-MD5: x\r\n');
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(arrived()).toBe('hello '.repeat(1000));
    expect(sinks[1]?.seen[0]?.headers).not.toHaveProperty('content-encoding');
    expect(sinks[1]?.seen[0]?.headers).not.toHaveProperty('content-md5');
  });

  test('a phantom in it does not reach a host that does not own it', async () => {
    const answer = await post(other, coding, compress(Buffer.from(`${'x'.repeat(5000)}${phantom}`)));
    expect(answer.text).toMatch(/^HTTP\/1\.1 403 |^$/);
    await lab.settled();
    expect(arrived()).not.toContain(phantom.slice(0, 20));
    expect(lab.actions().join('\n')).toContain('phantom-misplaced deny');
  });

  test('a phantom in it is made unreadable for the host that owns it', async () => {
    const answer = await post(own, coding, compress(Buffer.from(`a ${phantom} z`)));
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(arrived()).toBe(`a ${'*'.repeat(phantom.length)} z`);
  });

  test('content that is broken is told as such, and does not arrive as if it were whole', async () => {
    const whole = compress(Buffer.from('hello '.repeat(1000)));
    const answer = await post(other, coding, whole.subarray(0, whole.length - 12));
    expect(answer.text).toMatch(/^HTTP\/1\.1 400 |^$/);
    await lab.settled();
    expect(lab.actions()).toContain(`net.exchange allow request-broken ${other}:443`);
  });

  test('a bomb is stopped long before its end', async () => {
    const bomb = compress(Buffer.alloc(100 * 1024 * 1024));
    await post(other, coding, bomb);
    await lab.settled();
    expect(arrived().length).toBeLessThan(100 * bomb.length + 2 * 1024 * 1024);
    expect(arrived().length).toBeLessThan(90 * 1024 * 1024);
  });
});

test('several codings, and unknown ones, are refused with 415', async () => {
  for (const coding of ['gzip, gzip', 'compress', 'dcb', 'x']) {
    const answer = await post(other, coding, gzipSync('hello'));
    expect(answer.text, coding).toMatch(/^HTTP\/1\.1 415 /);
  }
  expect(arrived()).toBe('');
});

test('content that is only framed, or not coded at all, passes as it is', async () => {
  for (const coding of ['identity', 'aws-chunked']) {
    const answer = await post(other, coding, Buffer.from('hello'));
    expect(answer.text, coding).toMatch(/^HTTP\/1\.1 200 /);
  }
  expect(arrived()).toBe('hellohello');
});

test('what decoders hold is bounded for a sandbox, and free again afterwards', async () => {
  const tight = await createLab({
    rules: [rule(other, { http: [{ methods: ['POST'], path: '/**' }] })],
    gateway: { limits: { decodingBytes: 20 * 1024 * 1024 } },
  });
  const sink = await sinkAt(tight, other, 443);
  const port = await tight.open(other, 443);
  const content = brotliCompressSync('hello');
  const open = () => tlsTo(port, other, { ca: tight.authority.certificatePem });
  const head = `POST /v1 HTTP/1.1\r\nHost: ${other}\r\nContent-Encoding: br\r\nContent-Length: ${content.length}\r\nConnection: close\r\n\r\n`;
  const first = await open();
  first.write(head);
  await tight.settled();
  expect((await talk(await open(), [head, content])).text).toMatch(/^HTTP\/1\.1 503 /);
  expect((await talk(first, [content])).text).toMatch(/^HTTP\/1\.1 200 /);
  expect((await talk(await open(), [head, content])).text).toMatch(/^HTTP\/1\.1 200 /);
  await tight.close();
  sink.close();
});

test('what decoders hold is bounded where many requests wait for their permission together', async () => {
  const tight = await createLab({
    rules: [rule(other, { http: [{ methods: ['POST'], path: '/**' }] })],
    gateway: { limits: { decodingBytes: 40 * 1024 * 1024 } },
  });
  const sink = await sinkAt(tight, other, 443);
  const port = await tight.open(other, 443);
  const content = brotliCompressSync('hello');
  const head = `POST /v1 HTTP/1.1\r\nHost: ${other}\r\nContent-Encoding: br\r\nContent-Length: ${content.length}\r\nConnection: close\r\n\r\n`;
  const sockets = await Promise.all(Array.from({ length: 8 }, () => tlsTo(port, other, { ca: tight.authority.certificatePem })));
  const { promise, resolve } = Promise.withResolvers<void>();
  tight.delayJournal(promise);
  // Heads alone, so that what is decoded is decoded at the same time.
  sockets.forEach((socket) => socket.write(head));
  await tight.settled();
  resolve();
  await tight.settled();
  const answers = await Promise.all(sockets.map((socket) => talk(socket, [content], { quietMs: 3000 })));
  expect(answers.filter(({ text }) => text.startsWith('HTTP/1.1 200 '))).toHaveLength(2);
  expect(answers.filter(({ text }) => text.startsWith('HTTP/1.1 503 '))).toHaveLength(6);
  await tight.close();
  sink.close();
});

test('what decoders of answers hold is bounded for a sandbox, and free again afterwards', async () => {
  const tight = await createLab({
    rules: [rule(own, { credential: 'anthropic' })],
    credentials: [credential()],
    gateway: { limits: { decodingBytes: 40 * 1024 * 1024 } },
  });
  const waiting = Promise.withResolvers<void>();
  const answer = brotliCompressSync('hello');
  const sink = await sinkAt(tight, own, 443, {
    async respond(_request, response) {
      response.writeHead(200, { 'content-encoding': 'br' });
      response.write(answer.subarray(0, 2));
      await waiting.promise;
      response.end(answer.subarray(2));
    },
  });
  const port = await tight.open(own, 443);
  const ask = async () => {
    const socket = await tlsTo(port, own, { ca: tight.authority.certificatePem });
    return await talk(socket, [`GET /v1 HTTP/1.1\r\nHost: ${own}\r\nConnection: close\r\n\r\n`], { quietMs: 3000 });
  };
  const first = [ask(), ask()];
  await expect.poll(() => sink.seen.length).toBe(2);
  await tight.settled();
  expect((await ask()).text).toMatch(/^HTTP\/1\.1 502 [\s\S]*too much is decoded/);
  waiting.resolve();
  expect((await Promise.all([...first, ask()])).map(({ text }) => text)).toEqual(Array(3).fill(expect.stringContaining('hello')));
  await tight.close();
  sink.close();
});
