import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect as http2Connect } from 'node:http2';

import { foreignClaims } from '../../src/proof/attacks/host-claims.ts';
import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** GWP-03, 04, 07, 14, 19, 20, 22: the name the connection was opened for is the only host a request can reach. */

let lab: Lab;
let plain: Sink;
let mitm: Sink;
let denied: Sink;

beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule('allowed.example.com', { ports: [80, 443] }),
      rule('mitm.example.com', { credential: 'anthropic' }),
      rule('*.wild.example.com', { ports: [80, 443] }),
    ],
    credentials: [credential()],
  });
  [plain, mitm, denied] = await Promise.all([
    sinkAt(lab, 'allowed.example.com', 80, { plain: true }),
    sinkAt(lab, 'mitm.example.com', 443),
    sinkAt(lab, 'denied.example.com', 80, { plain: true }),
  ]);
});
afterAll(() => lab.close());

const get = (target: string, hosts: readonly string[], more = ''): string =>
  `GET ${target} HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}${more}Connection: close\r\n\r\n`;

describe('on plain HTTP', () => {
  test('the control passes, its host in any spelling of the same name', async () => {
    for (const host of ['allowed.example.com', 'ALLOWED.example.com', 'allowed.example.com:80', 'allowed.example.com.']) {
      const answer = await talk(await rawConnect(await lab.open('allowed.example.com', 80)), [get('/', [host])]);
      expect(answer.text, host).toMatch(/^HTTP\/1\.1 200 /);
      expect(plain.seen.at(-1)?.headers.host).toBe('allowed.example.com');
    }
  });

  const claims = foreignClaims({ allowed: 'allowed.example.com', denied: 'denied.example.com', scheme: 'http' });
  test.each(Object.entries(claims))('%s is refused and reaches nobody', async (_name, bytes) => {
    const before = plain.seen.length;
    const answer = await talk(await rawConnect(await lab.open('allowed.example.com', 80)), [bytes]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 4(?:00|21) /);
    expect(plain.seen).toHaveLength(before);
    expect(denied.connections()).toBe(0);
  });

  test('GWP-14: names that only look like an allowed one are denied', async () => {
    for (const host of [
      'evilallowed.example.com',
      'allowed.example.com.denied.example.net',
      'wild.example.com',
      'xwild.example.com',
    ]) {
      const answer = await talk(await rawConnect(await lab.open(host, 80)), [get('/', [host])]);
      expect(answer.text, host).toContain('x-casemate-denied: host-not-allowed');
    }
    const inside = await talk(await rawConnect(await lab.open('a.wild.example.com', 80)), [get('/', ['a.wild.example.com'])]);
    expect(inside.text).toMatch(/^HTTP\/1\.1 502 /);
  });

  test('GWP-22: what a caller says about itself is dropped', async () => {
    const claims =
      'X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nVia: 1.1 x\r\nProxy-Authorization: Basic Qjo=\r\nX-Real-IP: 127.0.0.1\r\n';
    await talk(await rawConnect(await lab.open('allowed.example.com', 80)), [get('/', ['allowed.example.com'], claims)]);
    expect(Object.keys(plain.seen.at(-1)?.headers ?? {}).toSorted()).toEqual(['host']);
  });
});

describe('inside TLS that is opened', () => {
  test('GWP-04: another host inside is refused and the key is not used', async () => {
    const before = mitm.seen.length;
    const socket = await tlsTo(await lab.open('mitm.example.com', 443), 'mitm.example.com', { ca: lab.authority.certificatePem });
    const answer = await talk(socket, ['POST /v1/messages HTTP/1.1\r\nHost: denied.example.com\r\nContent-Length: 0\r\n\r\n']);
    expect(answer.text).toMatch(/^HTTP\/1\.1 421 /);
    expect(mitm.seen).toHaveLength(before);
  });

  test('GWP-19: each stream of HTTP/2 is held to the name of its connection', async () => {
    const socket = await tlsTo(await lab.open('mitm.example.com', 443), 'mitm.example.com', {
      ca: lab.authority.certificatePem,
      alpn: ['h2'],
    });
    const session = http2Connect('https://mitm.example.com', { createConnection: () => socket });
    const status = (headers: Record<string, string>): Promise<number> =>
      new Promise((resolve) => {
        const stream = session.request(headers);
        stream.on('response', (answer) => resolve(Number(answer[':status'])));
        // What is malformed by the standard itself is reset by the parser.
        stream.on('error', () => resolve(400));
        stream.resume();
      });
    expect(await status({ ':path': '/v1/messages' })).toBe(200);
    expect(await status({ ':path': '/v1/messages', ':authority': 'denied.example.com' })).toBe(421);
    expect([400, 421]).toContain(await status({ ':path': '/v1/messages', host: 'denied.example.com' }));
    expect(await status({ ':path': 'http://denied.example.com/' })).toBe(400);
    expect(await status({ ':path': '/v1/messages' })).toBe(200);
    expect(
      mitm.seen.every(({ headers }) => headers[':authority'] === 'mitm.example.com' || headers['host'] === 'mitm.example.com'),
    ).toBe(true);
    session.destroy();
  });

  test('GWP-07: bytes that are not TLS on 443 are closed, and nobody hears them', async () => {
    const before = mitm.connections();
    const answer = await talk(await rawConnect(await lab.open('mitm.example.com', 443)), ['SSH-2.0-x\r\n']);
    expect(answer.text).toBe('');
    expect(mitm.connections()).toBe(before);
    expect(lab.lastDenial()).toMatchObject({ decision: 'deny', outcome: 'hello-unreadable', subject: 'mitm.example.com:443' });
  });
});

test('an address that no name was given is reset and recorded', async () => {
  for (const address of ['127.0.0.1', '127.64.0.1', '127.100.1.2', '10.0.0.1', '::1', '']) {
    const answer = await talk(await rawConnect(await lab.openAddress(address, 80)), [get('/', ['allowed.example.com'])]);
    expect(answer).toEqual({ text: '', end: 'reset' });
    expect(lab.lastDenial()).toMatchObject({ decision: 'deny', outcome: 'unknown-address', subject: `${address}:80` });
  }
});
