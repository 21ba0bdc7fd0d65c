import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** SEC-14: where the rules judge methods, a form does not make a server carry out another one. */

const host = 'api.example.com';
const free = 'free.example.com';
let lab: Lab;
let api: Sink;
let other: Sink;

beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule(host, { credential: 'anthropic', http: [{ methods: ['POST'], path: '/**' }] }),
      rule(free, { credential: 'anthropic' }),
    ],
    credentials: [credential()],
  });
  api = await sinkAt(lab, host, 443);
  other = await sinkAt(lab, free, 443);
});
beforeEach(() => {
  api.seen.length = 0;
});
afterAll(async () => {
  await lab.close();
  api.close();
  other.close();
});

async function post(type: string, pieces: readonly string[], at = host): Promise<string> {
  const socket = await tlsTo(await lab.open(at, 443), at, { ca: lab.authority.certificatePem });
  const lines = [`Host: ${at}`, `X-Api-Key: ${phantom}`, ...(type === '' ? [] : [`Content-Type: ${type}`]), 'Connection: close'];
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`);
  return (
    await talk(socket, [
      `POST /a HTTP/1.1\r\n${lines.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      ...chunks,
      '0\r\n\r\n',
    ])
  ).text;
}

const urlencoded = 'application/x-www-form-urlencoded';
const part = (name: string, value: string): string => `--XX\r\nContent-Disposition: form-data; ${name}\r\n\r\n${value}\r\n`;

test.each([
  ['as it is', urlencoded, ['_method=DELETE']],
  ['in pieces', `${urlencoded}; charset=utf-8`, ['a=1&_me', 'thod=DEL', 'ETE']],
  ['without a type', '', ['_method=DELETE']],
  ['escaped', urlencoded, ['%5Fmethod=%44ELETE']],
  ['in parts', 'multipart/form-data; boundary=XX', [part('name="a"', '1'), part('name="_method"', 'PUT'), '--XX--\r\n']],
  [
    'in words of mail',
    'multipart/form-data; charset=UTF-8; boundary=XX',
    [part('name="=?utf-8?Q?=5Fmethod?="', 'PUT'), '--XX--\r\n'],
  ],
  ['in JSON', 'application/json', ['{"a":[{"b":"}"}],"_method":"DELETE"}']],
  ['in JSON in pieces', 'application/vnd.api+json; charset=UTF-8', ['{"a":"\\"', '","_me', 'thod" ', ': "DEL', 'ETE"}']],
  ['in escaped JSON', 'text/json', ['\n{"\\u005f\\u006Dethod":"\\u0044ELETE"}']],
  ['in JSON twice', 'application/json', ['{"_method":"POST","_method":"DELETE"}']],
  ['in JSON that says to be text', 'text/plain', ['\xef\xbb\xbf {"_ApplicationId":"a","_met', 'hod":"DELETE"}']],
  ['in JSON that says to be a form', urlencoded, ['{"_method":"DELETE"}']],
  ['in JSON without a type', '', [' \n', '{"_method":"DELETE"}']],
  ['in JSON before the first part', 'multipart/form-data; boundary=XX', ['{"_method":"DELETE"}']],
  ['in JSON as no text', 'application/json', ['{"_method":["DELETE"]}']],
])('a form that asks for another method is refused: %s', async (_, type, pieces) => {
  expect(await post(type, pieces)).toMatch(/^HTTP\/1\.1 403 [\s\S]*function-not-allowed/);
  expect(api.seen.map(({ body }) => body).join('')).not.toMatch(/DEL|ELETE|PUT/);
  expect(lab.lastDenial()).toMatchObject({ action: 'net.exchange', decision: 'deny', outcome: 'function-not-allowed' });
});

test('parts whose ends are not clear are refused', async () => {
  expect(await post('multipart/form-data; boundary=a; boundary=b', ['--a'])).toMatch(
    /^HTTP\/1\.1 415 [\s\S]*content-not-readable/,
  );
});

test.each([
  `${urlencoded}; charset=ibm037`,
  'multipart/form-data; boundary=XX; charset="utf-16"',
  `${urlencoded}; charset=utf-8; charset=cp500`,
])('a form of another charset is refused: %s', async (type) => {
  expect(await post(type, ['a=1'])).toMatch(/^HTTP\/1\.1 415 [\s\S]*content-not-readable/);
});

test.each(['utf-16', '"utf-7"', 'utf-8; charset=utf-16le', 'utf-8;charset*=x'])('JSON in %s is refused', async (charset) => {
  expect(await post(`application/json; charset=${charset}`, ['{}'])).toMatch(/^HTTP\/1\.1 415 [\s\S]*content-not-readable/);
});

test('text in UTF-16 is refused, for some read JSON in it', async () => {
  expect(await post('text/plain; charset=utf-16le', ['a'])).toMatch(/^HTTP\/1\.1 415 [\s\S]*content-not-readable/);
});

test('a type that would be judged and not go on is refused', async () => {
  const type = 'text/plain\r\nConnection: x, Content-Type';
  expect(await post(type, ['_method=DELETE'])).toMatch(/^HTTP\/1\.1 400 [\s\S]*malformed-request/);
  expect(api.seen).toEqual([]);
});

test('content of two types is refused', async () => {
  expect(await post('text/plain\r\nContent-Type: application/x-www-form-urlencoded', ['a=1'])).toMatch(/^HTTP\/1\.1 415 /);
});

test('the method that was judged, and all that only looks like another, go on', async () => {
  for (const [type, body] of [
    [urlencoded, 'a=1&_method=post'],
    ['text/plain', 'a {"_method":"DELETE"}'],
    ['text/csv; charset=shift_jis', '_method,DELETE'],
    ['application/octet-stream', '[{"_method":"DELETE"}]'],
    ['application/json', '{"a":"&_method=DELETE&"}'],
    ['application/json', '{"a":{"_method":"DELETE"},"b":["_method","DELETE"],"c":"_method","_method" : "post"}'],
    ['application/json;charset="utf-8"', '["_method","DELETE",{"_method":"DELETE"}]'],
    ['application/json', `{"${'_method'.repeat(90)}":"DELETE","a":"\\"_method\\":\\"DELETE\\"`],
    [
      'multipart/form-data; boundary=XX',
      `${part('name="a"; filename="_method"', '<input name="_method" value="DELETE">')}--XX--\r\n`,
    ],
  ] as const) {
    expect(await post(type, [body])).toContain('HTTP/1.1 200');
    expect(api.seen.at(-1)?.body).toBe(body);
  }
  expect(await post(urlencoded, ['_method=DELETE'], free)).toContain('HTTP/1.1 200');
});
