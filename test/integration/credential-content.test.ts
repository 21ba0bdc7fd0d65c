import { once } from 'node:events';
import { connect as http2Connect } from 'node:http2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { secret } from '../../src/credentials/secret.ts';
import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { ownWait } from '../helpers/own-wait.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';
import { signatureFault } from '../helpers/verify-sigv4.ts';

/** Content that is read as a whole for its credential's sake: every way to send it, and what it may cost. */

const stand = 'cmph_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG';
const keys = { accessKeyId: 'AKIAREALREALREALREAL', secretAccessKey: 'realSecret/9f8e7d6c5b4a39281706+AAAA' };
const bedrock = 'bedrock-runtime.eu-west-1.amazonaws.com';
const awsId = 'ASIACMPHABCDEFGHIJKL';

let lab: Lab;
let value = 'real-value-one';
let epoch = (): number => 0;
const sinks: Sink[] = [];
let answer: Respond | undefined;

const respond: Respond = (request, response, seen) =>
  void request.once('end', () => void (answer === undefined ? response.end('fine') : answer(request, response, seen)));

beforeAll(async () => {
  lab = await createLab({
    rules: [rule('body.example.com', { credential: 'body' }), rule(bedrock, { credential: 'aws' })],
    credentials: [
      credential({
        name: 'body',
        phantom: stand,
        inject: { kind: 'body', field: 'api_key' },
        epoch: () => epoch(),
        obtain: async () => ({ kind: 'text', secret: secret(value) }),
      }),
      credential({
        name: 'aws',
        phantom: awsId,
        identityHeaders: ['authorization', 'x-amz-security-token'],
        inject: { kind: 'sigv4' },
        obtain: async () => ({
          kind: 'aws',
          accessKeyId: keys.accessKeyId,
          secretAccessKey: secret(keys.secretAccessKey),
          sessionToken: undefined,
        }),
      }),
    ],
    gateway: { limits: { heldBytes: 600_000 } },
  });
  sinks.push(await sinkAt(lab, 'body.example.com', 443, { respond }), await sinkAt(lab, bedrock, 443, { respond }));
});
afterEach(() => {
  answer = undefined;
  value = 'real-value-one';
  epoch = () => 0;
});
afterAll(async () => {
  await lab.close();
  sinks.forEach((sink) => sink.close());
});

const last = () => sinks[0]?.seen.at(-1);
const open = async (alpn?: string[]) =>
  await tlsTo(await lab.open('body.example.com', 443), 'body.example.com', {
    ca: lab.authority.certificatePem,
    ...(alpn === undefined ? {} : { alpn }),
  });
const head = (length: string): string =>
  `POST /x HTTP/1.1\r\nHost: body.example.com\r\nConnection: close\r\nContent-Type: application/json\r\n${length}\r\n\r\n`;

test('in chunks, and piece by piece, it goes on with its length', async () => {
  const text = `{"a":1,"api_key":"${stand}"}`;
  const chunks = Array.from(text, (letter) => `1\r\n${letter}\r\n`);
  expect((await talk(await open(), [head('Transfer-Encoding: chunked'), ...chunks, '0\r\n\r\n'])).text).toContain('200 OK');
  expect(last()?.body).toBe('{"a":1,"api_key":"real-value-one"}');
  expect(last()?.headers['content-length']).toBe(String(last()?.body.length));
  expect(last()?.headers['transfer-encoding']).toBeUndefined();
});

test('a client that waits to be asked for it is asked, once', async () => {
  const socket = await open();
  const asked = once(socket, 'data');
  const answered = talk(socket, [head('Content-Length: 2\r\nExpect: 100-continue')], { quietMs: 1500 });
  await asked;
  socket.write('{}');
  const { text } = await answered;
  expect(text.match(/100 Continue/g)?.length).toBe(1);
  expect(text).toContain('200 OK');
  expect(last()?.body).toBe('{"api_key":"real-value-one"}');
});

test.each([
  ['body.example.com', { 'content-type': 'application/json' }],
  [
    bedrock,
    {
      'content-type': 'application/json',
      authorization: `AWS4-HMAC-SHA256 Credential=${awsId}/20261121/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`,
    },
  ],
])('over HTTP/2 to %s it arrives with its credential', async (host, fields) => {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem, alpn: ['h2'] });
  const session = http2Connect(`https://${host}`, { createConnection: () => socket });
  const request = session.request({ ':method': 'POST', ':path': '/model/a:0/invoke', ...fields });
  request.end('{"a":1}');
  const status = await new Promise((resolve) => request.once('response', (headers) => resolve(headers[':status'])));
  session.destroy();
  expect(status).toBe(200);
  const seen = sinks.flatMap((sink) => sink.seen).findLast((row) => row.host === host);
  expect(seen?.version).toBe('2.0');
  if (host === bedrock) {
    const sent = Object.entries(seen?.headers ?? {}).map(
      ([name, text]) => [name === ':authority' ? 'host' : name, String(text)] as const,
    );
    expect(
      signatureFault({ method: 'POST', target: seen?.url ?? '', fields: sent, body: Buffer.from(seen?.body ?? '') }, keys),
    ).toBeUndefined();
  } else {
    expect(seen?.body).toBe('{"a":1,"api_key":"real-value-one"}');
  }
});

test('what breaks off is sent to nobody', async () => {
  const count = sinks[0]?.seen.length;
  const socket = await open();
  socket.write(`${head('Content-Length: 100')}{"a":`);
  await ownWait(100);
  socket.destroy();
  await lab.settled();
  expect(sinks[0]?.seen.length).toBe(count);
});

test('what is reset over HTTP/2, where its end looks like any other, is sent to nobody', async () => {
  const count = sinks[0]?.seen.length;
  const socket = await open(['h2']);
  const session = http2Connect('https://body.example.com', { createConnection: () => socket });
  const request = session.request({ ':method': 'POST', ':path': '/x', 'content-type': 'application/json' });
  request.on('error', () => undefined);
  request.write('{"a":1}');
  await ownWait(100);
  // Not `close`: that ends the content properly first.
  request.destroy(new Error('broken off'));
  await lab.settled();
  session.destroy();
  expect(sinks[0]?.seen.length).toBe(count);
});

test('a value that is rotated while the request is written down is not sent; the new one is, with the same content', async () => {
  const epochs = [1, 2];
  value = 'real-value-old';
  epoch = () => {
    const now = epochs.shift() ?? 3;
    value = now === 1 ? value : 'real-value-new';
    return now;
  };
  expect((await talk(await open(), [head('Content-Length: 7'), '{"a":1}'])).text).toContain('200 OK');
  expect(last()?.body).toBe('{"a":1,"api_key":"real-value-new"}');
});

test('each request has the value as it is then', async () => {
  await talk(await open(), [head('Content-Length: 2'), '{}']);
  value = 'real-value-two';
  await talk(await open(), [head('Content-Length: 2'), '{}']);
  expect(last()?.body).toBe('{"api_key":"real-value-two"}');
});

describe('DOS: what a sandbox has held', () => {
  test('is bounded over all its requests, and free again when they are over', async () => {
    const filler = `{"a":"${'x'.repeat(400_000)}"}`;
    const slow = await open();
    slow.write(`${head(`Content-Length: ${filler.length}`)}${filler.slice(0, -1)}`);
    // All that came is in the gateway's hands by then.
    await ownWait(300);
    expect((await talk(await open(), [`${head(`Content-Length: ${filler.length}`)}${filler}`])).text).toContain('too-busy');
    slow.destroy();
    await lab.settled();
    expect((await talk(await open(), [`${head(`Content-Length: ${filler.length}`)}${filler}`])).text).toContain('200 OK');
  });
});
