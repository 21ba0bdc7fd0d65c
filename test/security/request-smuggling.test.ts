import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { clearAfterAll, doubtfulFramings } from '../../src/proof/attacks/framings.ts';
import { canary, createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { answersIn, rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** GWP-15 to GWP-18: a request must not hide another one, and each one on a connection is judged by itself. */

const head = 'POST /v1/messages HTTP/1.1\r\nHost: mitm.example.com\r\n';
const smuggled = 'GET /forbidden HTTP/1.1\r\nHost: mitm.example.com\r\nX-Smuggled: 1\r\n\r\n';
const variants = doubtfulFramings({ head, smuggled, foreignKey: 'ATTACKER' });

let lab: Lab;
let sink: Sink;
let port: number;
const open = () => tlsTo(port, 'mitm.example.com', { ca: lab.authority.certificatePem });

beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule('mitm.example.com', { credential: 'anthropic', http: [{ methods: ['POST'], path: '/v1/messages' }] }),
      rule('plain.example.com', { ports: [80] }),
    ],
    credentials: [credential()],
  });
  sink = await sinkAt(lab, 'mitm.example.com', 443);
  port = await lab.open('mitm.example.com', 443);
});
afterAll(async () => {
  await lab.close();
  sink.close();
});

describe('GWP-15: framing two servers could read apart', () => {
  test('the control, one whole request, arrives with the key', async () => {
    const answer = await talk(await open(), [`${head}Content-Length: 2\r\nConnection: close\r\n\r\nhi`]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(sink.seen.at(-1)).toMatchObject({ url: '/v1/messages', body: 'hi', headers: { 'x-api-key': canary } });
  });

  test.each(Object.entries(variants))('%s never brings a second request to the upstream', async (name, bytes) => {
    const before = sink.seen.length;
    const answer = await talk(await open(), [bytes]);
    const arrived = sink.seen.slice(before);
    expect(arrived.length).toBeLessThanOrEqual(1);
    expect(arrived.every(({ url, headers }) => url === '/v1/messages' && headers['x-smuggled'] === undefined)).toBe(true);
    expect(JSON.stringify(arrived)).not.toContain('ATTACKER');
    if (!clearAfterAll.has(name)) {
      expect(answer.text).toMatch(/^HTTP\/1\.1 (?:400|403|431|505) |^$/);
    }
    expect(answer.text).not.toContain('hello from mitm.example.com /forbidden');
  });
});

describe('versions that have no such request', () => {
  const whole = 'Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n';

  test.each([
    ['HTTP/1.0', 'a transfer coding in HTTP/1.0 (RFC 9112 section 6.1)', whole],
    ['HTTP/0.9', 'a version before there were fields', 'Content-Length: 0\r\n\r\n'],
    ['HTTP/2.0', 'HTTP/2 in text', 'Content-Length: 0\r\n\r\n'],
  ])('%s: %s is refused with nothing behind it', async (version, _, rest) => {
    const before = sink.seen.length;
    const answer = await talk(await open(), [head.replace('HTTP/1.1', version), rest]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 400 /);
    expect(sink.seen).toHaveLength(before);
  });

  test('HTTP/1.0 with a length arrives', async () => {
    const before = sink.seen.length;
    await talk(await open(), [`${head.replace('HTTP/1.1', 'HTTP/1.0')}Content-Length: 2\r\n\r\nhi`]);
    expect(sink.seen.slice(before)).toMatchObject([{ url: '/v1/messages', body: 'hi' }]);
  });
});

describe('one connection, several requests', () => {
  test('GWP-17: the second is judged by itself', async () => {
    const before = sink.seen.length;
    const second = 'GET /v1/files HTTP/1.1\r\nHost: mitm.example.com\r\nConnection: close\r\n\r\n';
    const answer = await talk(await open(), [`${head}Content-Length: 0\r\n\r\n${second}`]);
    expect(answersIn(answer.text)).toBe(2);
    expect(answer.text).toMatch(/HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /);
    expect(sink.seen.slice(before).map(({ url }) => url)).toEqual(['/v1/messages']);
  });

  test('GWP-16: another host on a kept-alive plain connection is refused', async () => {
    const plain = await sinkAt(lab, 'plain.example.com', 80, { plain: true });
    const bytes =
      'GET / HTTP/1.1\r\nHost: plain.example.com\r\n\r\nGET / HTTP/1.1\r\nHost: denied.example.com\r\nConnection: close\r\n\r\n';
    const answer = await talk(await rawConnect(await lab.open('plain.example.com', 80)), [bytes]);
    expect(answer.text.split('HTTP/1.1 200').length - 1).toBe(1);
    expect(answer.text).toContain('HTTP/1.1 421 ');
    expect(plain.seen).toHaveLength(1);
    plain.close();
  });

  test('requests sent far ahead do not run at the same time without limit', async () => {
    const before = sink.seen.length;
    const many = `${head}Content-Length: 0\r\n\r\n`.repeat(400);
    await talk(await open(), [many]);
    expect(sink.seen.length - before).toBeLessThan(40);
  });
});

describe('GWP-18: an upgrade does not make a blind pipe', () => {
  test.each(['h2c', 'TLS/1.0', 'foo', 'websocket, h2c'])('%s is refused and bytes behind it go nowhere', async (protocol) => {
    const before = sink.seen.length;
    const bytes = `POST /v1/messages HTTP/1.1\r\nHost: mitm.example.com\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
    const answer = await talk(await open(), [bytes, 'RAW-AFTER-UPGRADE']);
    expect(answer.text).toMatch(/^HTTP\/1\.1 403 /);
    expect(sink.seen).toHaveLength(before);
  });

  test('CONNECT and absolute targets are refused', async () => {
    for (const line of [
      'CONNECT mitm.example.com:443',
      'GET http://mitm.example.com/',
      'GET http://[',
      'OPTIONS *',
      'TRACE /v1/messages',
    ]) {
      const answer = await talk(await open(), [`${line} HTTP/1.1\r\nHost: mitm.example.com\r\n\r\n`]);
      expect(answer.text, line).toMatch(/^HTTP\/1\.1 400 /);
    }
  });
});

test('GWP-23: hop-by-hop tricks leave the key there exactly once', async () => {
  const tricks = `Connection: close, x-api-key, authorization\r\nTE: trailers\r\nTrailer: x-api-key\r\nx-api-key: ${phantom}\r\nContent-Length: 0\r\n\r\n`;
  await talk(await open(), [head + tricks]);
  expect(sink.seen.at(-1)?.headers['x-api-key']).toBe(canary);
});

test('GWP-28: other protocols and noise on the port open nothing', async () => {
  const before = sink.connections();
  const fixed = [
    '\x04\x01\x01\xbb\xc0\0\x02\n\0',
    '\x05\x01\x00',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n',
    'GET /\r\n',
    '\x16\x03\x01\0\x05hello',
    'SSH-2.0-x\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ];
  const tlsPort = port;
  const plainPort = await lab.open('plain.example.com', 80);
  for (const bytes of fixed) {
    for (const target of [tlsPort, plainPort]) {
      const answer = await talk(await rawConnect(target), [bytes], { quietMs: 150 });
      expect(answer.text, JSON.stringify(bytes)).not.toMatch(/ 200 |^\x05\0/);
    }
  }
  expect(sink.connections()).toBe(before);
});
