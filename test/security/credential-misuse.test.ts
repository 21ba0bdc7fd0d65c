import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';

import { CasemateError } from '../../src/base/errors.ts';
import { canary, createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';

/** SEC-04, 06, 07, 08, GWP-23, 27: the real key goes to its host over verified TLS in one header, and never comes back. */

let lab: Lab;
let sink: Sink;
let other: Sink;
let respond: Respond | undefined;

beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule('mitm.example.com', { credential: 'anthropic', ports: [80, 443, 8443] }),
      rule('other.example.com', { http: [{ methods: undefined, path: '/**' }] }),
      rule('bad.example.com', { credential: 'anthropic' }),
      rule('gone.example.com', { credential: 'gone' }),
    ],
    credentials: [
      credential(),
      credential({
        name: 'gone',
        phantom: 'phantom-of-gone',
        obtain: async () => {
          throw new CasemateError('CREDENTIAL_UNAVAILABLE', 'no such variable');
        },
      }),
    ],
  });
  sink = await sinkAt(lab, 'mitm.example.com', 443, {
    respond: (request, response, seen) =>
      void request.once('end', () => void (respond === undefined ? response.end('fine') : respond(request, response, seen))),
  });
  other = await sinkAt(lab, 'other.example.com', 443);
});
beforeEach(() => {
  respond = undefined;
});
afterAll(async () => {
  await lab.close();
  sink.close();
  other.close();
});

async function send(lines: string, { host = 'mitm.example.com', target = '/v1/messages', body = '' } = {}): Promise<string> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const answer = await talk(socket, [
    `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n${lines}\r\n${body}`,
  ]);
  return answer.text;
}

describe("SEC-04: the caller's own key", () => {
  test('the control: the phantom, or no key at all, becomes the real key, once', async () => {
    for (const lines of [
      `x-api-key: ${phantom}\r\n`,
      '',
      `Authorization: Bearer ${phantom}\r\n`,
      `X-Api-Key: ${phantom}\r\nx-api-key: ${phantom}\r\n`,
    ]) {
      expect(await send(lines)).toMatch(/^HTTP\/1\.1 200 /);
      const seen = sink.seen.at(-1);
      expect(seen?.headers['x-api-key']).toBe(canary);
      expect(seen?.headers['authorization']).toBeUndefined();
    }
  });

  test.each([
    'x-api-key: ATT\r\n',
    'X-Api-Key: ATT\r\nx-api-key: ATT2\r\n',
    `x-api-key: ${phantom}\r\nx-api-key: ATT\r\n`,
    `x-api-key: ${phantom}, ATT\r\n`,
    `x-api-key: ${phantom}x\r\n`,
    'Authorization: Bearer ATT\r\n',
    `Authorization: Bearer ${phantom} ATT\r\n`,
    'Cookie: s=ATT\r\n',
    'Proxy-Authorization: Bearer ATT\r\n',
    'api-key: ATT\r\n',
    'x-api-key:\r\n',
  ])('%j is refused with an explanation and reaches nobody', async (lines) => {
    const before = sink.seen.length;
    expect(await send(lines)).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: foreign-key/);
    expect(sink.seen).toHaveLength(before);
    expect(lab.lastDenial()).toMatchObject({
      action: 'alarm.foreign-key',
      decision: 'deny',
      subject: 'mitm.example.com:443',
    });
  });

  test('a key in the query is refused too', async () => {
    expect(await send('', { target: '/v1/messages?key=ATT' })).toMatch(/^HTTP\/1\.1 403 /);
    expect(await send('', { target: '/v1/messages?beta=true' })).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('SEC-07: the phantom where it does not belong', () => {
  test.each([
    ['a header', `User-Agent: ${phantom}\r\n`, '/v1/messages'],
    ['the query', '', `/v1/messages?x=${phantom}`],
    ['the path', '', `/v1/${phantom}`],
    ['an escaped query', '', `/v1/messages?x=%73${phantom.slice(1)}`],
    ['a header name', `${phantom}: x\r\n`, '/v1/messages'],
  ])('in %s it is refused and recorded', async (_place, lines, target) => {
    const before = sink.seen.length;
    expect(await send(lines, { target })).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: phantom-misplaced/);
    expect(sink.seen).toHaveLength(before);
    expect(lab.lastDenial()).toMatchObject({ action: 'alarm.phantom-misplaced', decision: 'deny' });
    expect(JSON.stringify(lab.lastDenial()?.subject)).not.toContain(phantom);
  });

  test('in the content for its own host it is made unreadable and recorded; it is never replaced by the key', async () => {
    const body = `{"public_gist":"${phantom}"}`;
    expect(await send('', { body })).toMatch(/^HTTP\/1\.1 200 /);
    expect(sink.seen.at(-1)?.body).toBe(`{"public_gist":"${'*'.repeat(phantom.length)}"}`);
    await lab.settled();
    expect(lab.actions()).toContain('alarm.phantom-misplaced none masked mitm.example.com:443');
  });

  test('at a host that does not own it, it is refused wherever it stands', async () => {
    expect(await send('', { host: 'other.example.com', body: 'control' })).toMatch(/^HTTP\/1\.1 200 /);
    for (const [lines, body] of [
      [`x-api-key: ${phantom}\r\n`, ''],
      [`Authorization: Basic ${Buffer.from(`x:${phantom}`).toString('base64')}\r\n`, ''],
      ['', `a=${phantom}`],
    ] as const) {
      expect(await send(lines, { host: 'other.example.com', body })).toMatch(/^HTTP\/1\.1 403 [\s\S]*phantom-misplaced/);
    }
    expect(JSON.stringify(other.seen)).not.toContain(phantom.slice(20));
  });

  const percented = [...Buffer.from(phantom)].map((byte) => `%${byte.toString(16)}`).join('');
  const base64 = Buffer.from(`a key: ${phantom}`).toString('base64');
  test.each([
    ['in base64 in the content', { body: base64 }],
    ['in hexadecimal in the content', { body: Buffer.from(phantom).toString('hex') }],
    ['percent-escaped in the content', { body: `a=${percented}` }],
    ['in escapes of JSON in the content', { body: `{"a":"${percented.replaceAll('%', '\\u00')}"}` }],
    ['in base64 in a header', { lines: `x-note: ${base64}\r\n` }],
    ['in base64 in the path', { target: `/${base64.replaceAll('=', '')}` }],
    ['percent-escaped in a header', { lines: `x-note: %73${phantom.slice(1)}\r\n` }],
  ])('%s it is refused there, too', async (_how, { lines = '', ...more }: { lines?: string; body?: string; target?: string }) => {
    const before = other.seen.length;
    expect(await send(lines, { host: 'other.example.com', ...more })).toMatch(/^HTTP\/1\.1 403 [\s\S]*phantom-misplaced/);
    expect(
      other.seen
        .slice(before)
        .map(({ body }) => body)
        .join(''),
    ).not.toContain((more.body ?? phantom).slice(0, 40));
  });
});

describe('SEC-06: the key goes nowhere else', () => {
  test('not over plain HTTP', async () => {
    const plain = await sinkAt(lab, 'mitm.example.com', 80, { plain: true });
    const answer = await talk(await rawConnect(await lab.open('mitm.example.com', 80)), [
      'POST / HTTP/1.1\r\nHost: mitm.example.com\r\nContent-Length: 0\r\n\r\n',
    ]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*credential-needs-tls/);
    expect(plain.connections()).toBe(0);
    plain.close();
  });

  test('GWP-27: not to an upstream whose certificate is for another name', async () => {
    const bad = await sinkAt(lab, 'bad.example.com', 443, { certificateFor: 'elsewhere.example.com' });
    expect(await send('', { host: 'bad.example.com' })).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-casemate-denied: certificate/);
    expect(bad.seen).toHaveLength(0);
    bad.close();
  });

  test('GWP-27: not to one whose authority the host does not trust', async () => {
    const stranger = await createLab({
      rules: [rule('bad.example.com', { credential: 'anthropic' })],
      credentials: [credential()],
    });
    const strange = await sinkAt(stranger, 'bad.example.com', 443);
    lab.route('bad.example.com', 443, strange.port);
    expect(await send('', { host: 'bad.example.com' })).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-casemate-denied: certificate/);
    expect(strange.seen).toHaveLength(0);
    strange.close();
    await stranger.close();
  });

  test('a credential that cannot be read stops the request', async () => {
    const answer = await send('', { host: 'gone.example.com' });
    expect(answer).toMatch(/^HTTP\/1\.1 502 [\s\S]*credential-unavailable/);
    expect(answer).not.toContain('no such variable');
  });

  test('a redirect to another host is passed on as it is, without the key', async () => {
    respond = (_request, response) => {
      response.writeHead(302, { location: 'https://other.example.com/' });
      response.end();
    };
    expect(await send('')).toMatch(/^HTTP\/1\.1 302 [\s\S]*location: https:\/\/other\.example\.com\//);
  });
});

describe('echoes of the key', () => {
  const stars = '*'.repeat(canary.length);
  const echo = Buffer.from(
    `before ${canary} and ${Buffer.from(`user:${canary}`).toString('base64')} ${encodeURIComponent(canary)} ${Buffer.from(canary).toString('hex')} after`,
  );
  const clean = (text: string): void => {
    expect(text).toContain(`before ${stars} and `);
    for (let at = 0; at + 12 <= canary.length; at += 1) {
      expect(text.includes(canary.slice(at, at + 12)) && !text.includes(phantom.slice(0, 13)), canary.slice(at, at + 12)).toBe(
        false,
      );
    }
    expect(text).not.toContain(Buffer.from(canary).toString('hex'));
    expect(text).not.toContain(Buffer.from(`user:${canary}`).toString('base64').slice(8, 60));
  };

  test('are scrubbed from headers and content, lengths kept', async () => {
    respond = (_request, response) => {
      response.writeHead(200, { 'content-length': echo.length, 'x-echo': canary });
      response.end(echo);
    };
    const text = await send('');
    expect(text).toContain(`x-echo: ${stars}`);
    expect(text).toContain(`content-length: ${echo.length}`);
    clean(text);
  });

  test('are scrubbed however the content is cut', async () => {
    respond = async (_request, response) => {
      response.writeHead(200);
      for (const byte of echo) {
        response.write(Buffer.from([byte]));
        if (byte % 7 === 0) {
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      response.end();
    };
    clean((await send('')).replaceAll(/\r\n[0-9a-f]+\r\n/g, ''));
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ] as const)('are scrubbed when the upstream compresses with %s unasked', async (coding, compress) => {
    respond = (request, response) => {
      expect(request.headers['accept-encoding']).toBe('identity');
      response.writeHead(200, { 'content-encoding': coding, 'content-length': compress(echo).length });
      response.end(compress(echo));
    };
    const text = await send('accept-encoding: gzip, br\r\n');
    expect(text).not.toContain('content-encoding');
    clean(text);
  });

  test('are scrubbed in UTF-16 in either order, which a caller cannot ask for by the usual header', async () => {
    const wide = Buffer.from(`key ${canary}`, 'utf16le');
    for (const bytes of [wide, Buffer.from(wide).swap16()]) {
      respond = (_request, response) => void response.end(bytes);
      const answer = Buffer.from(
        await send('Accept-Charset: utf-16\r\nAccept_Charset: ibm037\r\nRequest-Range: bytes=0-9\r\n'),
        'latin1',
      );
      expect(answer.toString('latin1').replaceAll('\0', '')).not.toContain(canary.slice(1));
      expect(sink.seen.at(-1)?.headers).not.toHaveProperty('accept-charset');
      expect(sink.seen.at(-1)?.headers).not.toHaveProperty('accept_charset');
      expect(sink.seen.at(-1)?.headers).not.toHaveProperty('request-range');
    }
  });

  test('an unknown coding is refused', async () => {
    respond = (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'secret-sauce' });
      response.end(echo);
    };
    expect(await send('')).toMatch(/^HTTP\/1\.1 502 [\s\S]*bad-answer/);
  });
});

test('SEC-08: neither key nor phantom is in any line of the journal', () => {
  expect(lab.entries.length).toBeGreaterThan(20);
  const whole = JSON.stringify(lab.entries);
  expect(whole).not.toContain(canary.slice(13, 30));
  expect(whole).not.toContain(phantom.slice(13, 30));
});
