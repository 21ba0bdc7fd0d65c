import { connect as http2Connect } from 'node:http2';

import { afterEach, describe, expect, test } from 'vitest';

import { answersIn, talk, tlsTo } from '../helpers/raw-client.ts';
import { createLab, rule, type Lab, type LabOptions } from '../helpers/gateway-lab.ts';
import { sinkAt } from '../helpers/sink.ts';

/** Of a host whose TLS is relayed unopened: that nobody is there is said in words, not by a connection that breaks. */
const host = 'opaque.example.com';
const labs: Lab[] = [];
async function labWith(gateway: LabOptions['gateway'] = {}): Promise<Lab> {
  const lab = await createLab({ rules: [rule(host)], credentials: [], gateway });
  labs.push(lab);
  return lab;
}
afterEach(async () => {
  await Promise.all(labs.splice(0).map((lab) => lab.close()));
});

const get = `GET /a HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

async function ask(lab: Lab, pieces: readonly string[] = [get]) {
  const ca = `${lab.authority.certificatePem}${lab.upstreamAuthority.certificatePem}`;
  return await talk(await tlsTo(await lab.open(host, 443), host, { ca }), pieces);
}

describe('a relayed host that cannot be reached', () => {
  test('is told of over HTTP/1.1; the connection ends with the first answer', async () => {
    const lab = await labWith();
    const { text, end } = await ask(lab, [`${get}${get}`]);
    expect(text).toMatch(
      /^HTTP\/1\.1 502 [\s\S]*x-casemate-denied: unreachable[\s\S]*opaque\.example\.com:443 cannot be reached/i,
    );
    expect(answersIn(text)).toBe(1);
    expect(end).toBe('end');
  });

  test('is on record once, as any other', async () => {
    const lab = await labWith();
    await ask(lab);
    await lab.settled();
    expect(lab.entries.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['net.open', 'ok'],
      ['net.exchange', 'unreachable'],
    ]);
  });

  test('is relayed unopened to the next connection, when it is there again', async () => {
    const lab = await labWith();
    expect((await ask(lab)).text).toMatch(/^HTTP\/1\.1 502 /);
    const sink = await sinkAt(lab, host, 443);
    const ca = lab.upstreamAuthority.certificatePem;
    const answer = await talk(await tlsTo(await lab.open(host, 443), host, { ca }), [get]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello from opaque\.example\.com \/a/);
    expect(sink.seen).toHaveLength(1);
    sink.close();
  });

  test('is never asked what came on the connection that failed, though it is there meanwhile', async () => {
    const lab = await labWith();
    const secure = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
    const sink = await sinkAt(lab, host, 443);
    expect((await talk(secure, [get])).text).toMatch(/^HTTP\/1\.1 502 /);
    expect(sink.connections()).toBe(0);
    sink.close();
  });

  test('is told of over HTTP/2, whose session ends then', async () => {
    const lab = await labWith();
    const secure = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem, alpn: ['h2'] });
    const session = http2Connect(`https://${host}`, { createConnection: () => secure });
    const ended = new Promise<void>((resolve) => session.once('close', () => resolve()));
    const stream = session.request({ ':path': '/a' });
    let body = '';
    stream.setEncoding('utf8').on('data', (piece: string) => (body += piece));
    const status = await new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])));
    await ended;
    expect(status).toBe(502);
    expect(body).toMatch(/opaque\.example\.com:443 cannot be reached/);
  });

  test.each([
    ['has no name', () => Promise.reject(new Error('ENOTFOUND')), /^HTTP\/1\.1 502 [\s\S]*unresolvable/],
    ['leads to this host', () => Promise.resolve(['127.0.0.1']), /^HTTP\/1\.1 403 [\s\S]*address-refused/],
  ])('says so where it %s', async (_what, resolve, expected) => {
    const lab = await labWith({ resolve });
    expect((await ask(lab)).text).toMatch(expected);
  });
});
