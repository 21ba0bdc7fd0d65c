import { createServer, type Socket } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { createLab, credential, listen, rule, sandboxId, type Lab, type LabOptions } from '../helpers/gateway-lab.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

/** Whatever goes wrong on one connection, it alone ends by it: the next request is served (DOS-14, 15, 17, 23). */

const labs: Lab[] = [];
async function labWith(options: Partial<LabOptions> = {}): Promise<Lab> {
  const lab = await createLab({
    rules: [
      rule('up.example.com', { ports: [80] }),
      rule('keyed.example.com', { credential: 'anthropic' }),
      rule('opaque.example.com'),
    ],
    credentials: [credential()],
    ...options,
  });
  labs.push(lab);
  return lab;
}
afterEach(async () => {
  await Promise.all(labs.splice(0).map((lab) => lab.close()));
});

const get = 'GET / HTTP/1.1\r\nHost: up.example.com\r\nConnection: close\r\n\r\n';

async function expectAlive(lab: Lab): Promise<void> {
  const sink = await sinkAt(lab, 'up.example.com', 80, { plain: true });
  const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
  sink.close();
}

describe('an upstream that lies', () => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  test.each([
    ['a bad status line', 'HTTP/9.9 foo\r\n\r\n', /^HTTP\/1\.1 502 [\s\S]*bad-answer/],
    ['not HTTP', 'SSH-2.0-OpenSSH\r\n', /^HTTP\/1\.1 502 [\s\S]*bad-answer/],
    ['a bad byte in a header', `${ok}X\0: y\r\n\r\n`, /^HTTP\/1\.1 502 /],
    ['two lengths', `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, /^HTTP\/1\.1 502 /],
    ['length and chunks', `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1\.1 502 /],
    ['an early end', '', /^HTTP\/1\.1 502 [\s\S]*unreachable/],
    ['an end in the head', `${ok}Content-Le`, /^HTTP\/1\.1 502 /],
    ['a head without end', `${ok}X: ${'y'.repeat(100_000)}`, /^HTTP\/1\.1 502 /],
    [
      'an unasked switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nraw',
      /^HTTP\/1\.1 502 /,
    ],
  ])('with %s gets its caller an explained 502', async (_what, bytes, expected) => {
    const lab = await labWith();
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.from(bytes, 'latin1')));
    });
    lab.route('up.example.com', 80, await listen(server));
    const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
    expect(answer.text).toMatch(expected);
    await lab.settled();
    expect(lab.entries.map(({ action }) => action)).toEqual(['net.open', 'net.exchange']);
    server.close();
    await expectAlive(lab);
  });

  test.each([
    ['short of its length', 'Content-Length: 100\r\n\r\nshort'],
    ['in the middle of a chunk', 'Transfer-Encoding: chunked\r\n\r\n40\r\nshort'],
    ['with a broken chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nshortzz\r\n'],
  ])('and ends %s is seen by the caller as broken, not as complete', async (_what, bytes) => {
    const lab = await labWith();
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(`${ok}${bytes}`));
    });
    lab.route('up.example.com', 80, await listen(server));
    const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
    expect(answer.text).not.toMatch(/\r\n0\r\n\r\n$/);
    await lab.settled();
    expect(lab.entries.at(-1)).toMatchObject({ action: 'net.exchange', outcome: 'answer-cut' });
    server.close();
    await expectAlive(lab);
  });

  test('early hints and informational answers do not end the exchange', async () => {
    const lab = await labWith();
    const server = createServer(
      (socket) =>
        void socket.once('data', () =>
          socket.end(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 2\r\n\r\nok`),
        ),
    );
    lab.route('up.example.com', 80, await listen(server));
    const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 [\s\S]*ok/);
    server.close();
  });
});

describe('an upstream that is slow or gone', () => {
  test('does not answer: 504 after the limit', async () => {
    const lab = await labWith({ gateway: { limits: { answerMs: 200 } } });
    const server = createServer(() => undefined);
    lab.route('up.example.com', 80, await listen(server));
    const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get], { quietMs: 20_000 });
    expect(answer.text).toMatch(/^HTTP\/1\.1 504 [\s\S]*slow/);
    server.close();
  });

  test('does not finish its TLS handshake: 504, and no byte of the request is sent', async () => {
    const lab = await labWith({ gateway: { limits: { handshakeMs: 2000 } } });
    let heard = '';
    const server = createServer((socket) => void socket.on('data', (piece) => (heard += piece.toString('latin1'))));
    lab.route('keyed.example.com', 443, await listen(server));
    const socket = await tlsTo(await lab.open('keyed.example.com', 443), 'keyed.example.com', {
      ca: lab.authority.certificatePem,
    });
    const answer = await talk(socket, ['GET / HTTP/1.1\r\nHost: keyed.example.com\r\nConnection: close\r\n\r\n'], {
      quietMs: 20_000,
    });
    expect(answer.text).toMatch(/^HTTP\/1\.1 504 /);
    expect(heard).not.toContain('GET');
    server.close();
  });

  test('is not there, or has no name: 502, by name', async () => {
    const lab = await labWith();
    const gone = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
    expect(gone.text).toMatch(/^HTTP\/1\.1 502 [\s\S]*unreachable/);
    const nameless = await labWith({ gateway: { resolve: () => Promise.reject(new Error('ENOTFOUND')) } });
    const answer = await talk(await rawConnect(await nameless.open('up.example.com', 80)), [get]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 502 [\s\S]*unresolvable/);
  });
});

describe('a caller', () => {
  test('that never sends is closed after the limit, on every kind of port', async () => {
    const lab = await labWith({ gateway: { limits: { firstBytesMs: 150, headMs: 150 } } });
    for (const [host, port, first] of [
      ['up.example.com', 80, ''],
      ['opaque.example.com', 443, ''],
      ['opaque.example.com', 443, '\x16\x03\x01'],
      ['up.example.com', 80, 'GET / HT'],
    ] as const) {
      const answer = await talk(await rawConnect(await lab.open(host, port)), [first], { quietMs: 20_000 });
      expect(answer.end, first).not.toBe('timeout');
    }
    await expectAlive(lab);
  });

  test('DOS-14: with a head that is too large gets 431 or 400, and memory stays', async () => {
    const lab = await labWith();
    const before = process.memoryUsage().rss;
    const target = await lab.open('up.example.com', 80);
    for (const more of [`A: ${'x'.repeat(1 << 20)}\r\n`, 'A: x\r\n'.repeat(60_000), `Cookie: ${'a=b; '.repeat(200_000)}\r\n`]) {
      const answer = await talk(await rawConnect(target), [`GET / HTTP/1.1\r\nHost: up.example.com\r\n${more}\r\n`]);
      expect(answer.text).toMatch(/^HTTP\/1\.1 431 [\s\S]*\r\n\r\ncasemate: [\s\S]*\(headers-too-large\)|^$/);
    }
    await talk(await rawConnect(target), [`GET /${'u'.repeat(1 << 20)} HTTP/1.1\r\nHost: up.example.com\r\n\r\n`]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    await expectAlive(lab);
  });

  test('a head of just under the limit passes', async () => {
    const lab = await labWith();
    const sink = await sinkAt(lab, 'up.example.com', 80, {
      plain: true,
      respond: (request, response) => void response.end(String(String(request.headers['x-long']).length)),
    });
    const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [
      `GET / HTTP/1.1\r\nHost: up.example.com\r\nConnection: close\r\nX-Long: ${'y'.repeat(14_000)}\r\n\r\n`,
    ]);
    expect(answer.text).toContain('14000');
    sink.close();
  });

  test('DOS-23: that resets at any stage harms nobody else', async () => {
    const lab = await labWith();
    const sink = await sinkAt(lab, 'keyed.example.com', 443, {
      respond: (_request, response) => void setTimeout(() => response.end('x'.repeat(100_000)), 30),
    });
    await sinkAt(lab, 'opaque.example.com', 443);
    const request = Buffer.from('POST / HTTP/1.1\r\nHost: keyed.example.com\r\nContent-Length: 100\r\n\r\nhalf');
    for (let waitMs = 0; waitMs <= 60; waitMs += 6) {
      const plain = await rawConnect(await lab.open('opaque.example.com', 443));
      plain.write('\x16\x03\x01\x02\x00\x01');
      const opened = await tlsTo(await lab.open('keyed.example.com', 443), 'keyed.example.com', {
        ca: lab.authority.certificatePem,
      });
      opened.on('error', () => undefined);
      opened.write(request.subarray(0, 1 + (waitMs * request.length) / 60));
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      plain.resetAndDestroy();
      opened.destroy();
    }
    await expectAlive(lab);
    await expect.poll(() => lab.gateway.usage('cm-0123456789abcdef')?.openConnections).toBe(0);
    sink.close();
  });
});

describe('limits of one sandbox', () => {
  test('connections past the limit are reset, counted, and free again when others close', async () => {
    const lab = await labWith({ gateway: { limits: { connections: 5 } } });
    const target = await lab.open('up.example.com', 80);
    const open = await Promise.all(Array.from({ length: 5 }, () => rawConnect(target)));
    await lab.settled();
    expect(await talk(await rawConnect(target), [get])).toMatchObject({ end: 'reset', text: '' });
    expect(lab.entries.some(({ outcome }) => outcome === 'too-many-connections')).toBe(true);
    open.forEach((socket: Socket) => socket.destroy());
    await lab.settled();
    await expectAlive(lab);
  });

  test('DOS-17: certificates for new hosts are made at a bounded rate', async () => {
    const lab = await labWith({
      rules: [rule('*.wild.example.com', { credential: 'anthropic' })],
      gateway: { limits: { leavesPerSecond: 4 } },
    });
    const started = performance.now();
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) => {
        const host = `h${index}.wild.example.com`;
        (await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem })).destroy();
      }),
    );
    const made = attempts.filter(({ status }) => status === 'fulfilled').length;
    // Four at once, and four for each second that they took.
    const allowed = 4 + 4 * ((performance.now() - started) / 1000);
    expect(made).toBeGreaterThanOrEqual(4);
    expect(made).toBeLessThanOrEqual(allowed + 1);
  });

  test('a flood of denials is counted exactly, with few lines', async () => {
    const lab = await labWith();
    const target = await lab.openAddress('127.64.0.1', 22);
    for (let round = 0; round < 15; round += 1) {
      await Promise.all(Array.from({ length: 10 }, async () => talk(await rawConnect(target), ['x'])));
    }
    const lines = () => lab.entries.filter(({ outcome }) => outcome === 'unknown-address');
    const counted = (): number => lines().reduce((sum, { detail }) => sum + Number(detail?.['repeated'] ?? 1), 0);
    await expect.poll(counted).toBeGreaterThanOrEqual(150);
    await lab.settled();
    expect(counted()).toBe(150);
    expect(lines().length).toBeLessThan(60);
  });
});

describe('the journal', () => {
  test('that cannot be written stops everything, and nothing leaves', async () => {
    const lab = await labWith();
    const plain = await sinkAt(lab, 'up.example.com', 80, { plain: true });
    const opaque = await sinkAt(lab, 'opaque.example.com', 443);
    lab.failJournal(true);
    const answer = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*journal-unwritable/);
    await expect(
      tlsTo(await lab.open('opaque.example.com', 443), 'opaque.example.com', { ca: lab.upstreamAuthority.certificatePem }),
    ).rejects.toThrow();
    expect([plain.connections(), opaque.connections(), lab.dials.length]).toEqual([0, 0, 0]);
    lab.failJournal(false);
    const again = await talk(await rawConnect(await lab.open('up.example.com', 80)), [get]);
    expect(again.text).toMatch(/^HTTP\/1\.1 200 /);
    plain.close();
    opaque.close();
  });

  test('holds each effect once, with bytes and time', async () => {
    const lab = await labWith();
    const sink = await sinkAt(lab, 'up.example.com', 80, { plain: true });
    await talk(await rawConnect(await lab.open('up.example.com', 80)), [
      'POST /p?q=secret HTTP/1.1\r\nHost: up.example.com\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc',
    ]);
    await lab.settled();
    expect(lab.entries).toMatchObject([
      {
        action: 'net.open',
        decision: 'allow',
        subject: 'up.example.com:80',
        rule: 'test:up.example.com',
        detail: { exchange: 1, method: 'POST', path: '/p' },
      },
      { action: 'net.exchange', decision: 'allow', outcome: 'ok', detail: { exchange: 1, status: 200, bytesOut: 3 } },
    ]);
    expect(JSON.stringify(lab.entries)).not.toContain('secret');
    sink.close();
  });
});

test('a sandbox is attached once: a second time is GATEWAY_FAILED, and the first goes on', async () => {
  const lab = await labWith();
  const again = (): void =>
    lab.gateway.attach(
      { id: sandboxId, name: 'lab', policyHash: '', rules: [], credentials: new Map(), authority: lab.authority },
      { serve: () => expect.fail('the second ingress was taken'), close: async () => undefined },
    );
  expect(again).toThrow(expect.objectContaining({ code: 'GATEWAY_FAILED' }));
  await expectAlive(lab);
});

test('GWP-30: detaching a sandbox cuts everything at once', async () => {
  const lab = await labWith({
    rules: [
      rule('opaque.example.com'),
      rule('keyed.example.com', { credential: 'anthropic' }),
      rule('raw.example.com', { ports: [2222] }),
    ],
  });
  await sinkAt(lab, 'opaque.example.com', 443);
  const held = await sinkAt(lab, 'keyed.example.com', 443, { respond: () => undefined });
  const server = createServer((socket) => void socket.on('error', () => undefined));
  lab.route('raw.example.com', 2222, await listen(server));
  const spliced = await tlsTo(await lab.open('opaque.example.com', 443), 'opaque.example.com', {
    ca: lab.upstreamAuthority.certificatePem,
  });
  const opened = await tlsTo(await lab.open('keyed.example.com', 443), 'keyed.example.com', { ca: lab.authority.certificatePem });
  const raw = await rawConnect(await lab.open('raw.example.com', 2222));
  opened.write('GET / HTTP/1.1\r\nHost: keyed.example.com\r\n\r\n');
  const idle = await rawConnect(await lab.open('opaque.example.com', 443));
  await lab.settled();
  const closed = [spliced, opened, raw, idle].map(
    (socket) =>
      new Promise<void>((resolve) => {
        socket.on('error', () => undefined);
        socket.resume();
        socket.once('close', () => resolve());
      }),
  );
  const started = performance.now();
  await lab.gateway.detach('cm-0123456789abcdef');
  await Promise.all(closed);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(lab.gateway.usage('cm-0123456789abcdef')).toBeUndefined();
  await lab.gateway.detach('cm-0123456789abcdef');
  const opens = lab.entries.filter(({ action }) => action === 'net.open').length;
  expect(lab.entries.filter(({ action, decision }) => action === 'net.exchange' && decision === 'allow')).toHaveLength(opens);
  server.close();
  held.close();
});
