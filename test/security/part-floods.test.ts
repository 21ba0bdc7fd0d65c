import { afterAll, beforeAll, expect, test } from 'vitest';

import { secret } from '../../src/credentials/secret.ts';
import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { ownTime } from '../helpers/own-time.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** Requests of very many small parts: each would be looked at for the credential's sake, by the one thread of all sandboxes. */

const bucket = 'things.s3.eu-west-1.amazonaws.com';
const awsId = 'ASIACMPHABCDEFGHIJKL';
const stand = 'cmph_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG';

let lab: Lab;
const sinks: Sink[] = [];

beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule('query.example.com', { credential: 'query' }),
      rule('body.example.com', { credential: 'body' }),
      rule(bucket, { credential: 'aws' }),
    ],
    credentials: [
      credential({ name: 'query', phantom: stand, inject: { kind: 'query', parameter: 'api_key' } }),
      credential({ name: 'body', phantom: stand, inject: { kind: 'body', field: 'api_key' } }),
      credential({
        name: 'aws',
        phantom: awsId,
        identityHeaders: ['authorization', 'x-amz-security-token'],
        keyParameters: [],
        inject: { kind: 'sigv4' },
        obtain: async () => ({
          kind: 'aws',
          accessKeyId: 'AKIAREALREALREALREAL',
          secretAccessKey: secret('realSecret/9f8e7d6c5b4a39281706+AAAA'),
          sessionToken: undefined,
        }),
      }),
    ],
  });
  for (const host of ['query.example.com', 'body.example.com', bucket]) {
    sinks.push(await sinkAt(lab, host, 443, { onlyHttp1: true }));
  }
});
afterAll(async () => {
  await lab.close();
  sinks.forEach((sink) => sink.close());
});

interface Sent {
  readonly host: string;
  readonly target?: string;
  readonly lines?: string;
  readonly body?: string;
}

async function send({ host, target = '/', lines = '', body = '' }: Sent): Promise<string> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const head = `PUT ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}Content-Length: ${body.length}\r\n\r\n`;
  return (await talk(socket, [head, body], { quietMs: 20_000 })).text;
}

const signed = `Authorization: AWS4-HMAC-SHA256 Credential=${awsId}/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}\r\n`;

test('an object that looks like a form of eight million parts costs what any object of its size costs', async () => {
  await send({ host: bucket, lines: signed, body: 'x' });
  const plainMs = ownTime();
  expect(await send({ host: bucket, target: '/plain', lines: signed, body: 'x'.repeat(8_000_000) })).toContain('200 OK');
  const plain = plainMs();
  const formMs = ownTime();
  expect(await send({ host: bucket, target: '/form', lines: signed, body: '&'.repeat(8_000_000) })).toContain('200 OK');
  expect(formMs()).toBeLessThan(2 * plain + 500);
});

test.each([
  ['a query', { host: 'query.example.com', target: `/?${'a&'.repeat(4000)}` }],
  ['a query with semicolons', { host: 'query.example.com', target: `/?${';'.repeat(4000)}` }],
  ['a form', { host: 'body.example.com', lines: 'Content-Type: application/x-www-form-urlencoded\r\n', body: 'a&'.repeat(4000) }],
  [
    'an object',
    {
      host: 'body.example.com',
      lines: 'Content-Type: application/json\r\n',
      body: JSON.stringify(Object.fromEntries(Array.from({ length: 4000 }, (_, index) => [`k${index}`, 1]))),
    },
  ],
])('%s of 4000 parts is refused before anything goes out', async (_what, sent) => {
  const before = lab.dials.length;
  expect(await send(sent)).toMatch(/^HTTP\/1\.1 4(?:00|15) /);
  expect(lab.dials.length).toBe(before);
});

test('one of a thousand parts goes on as ever', async () => {
  expect(await send({ host: 'query.example.com', target: `/?${'a=1&'.repeat(1000)}b=2` })).toContain('200 OK');
});
