import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { proxySettings } from '../../src/gateway/upstream/proxy-settings.ts';
import { openUsageLedger } from '../../src/sandbox/stored/usage-ledger.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { canary, createLab, credential, listen, rule, type Lab } from '../helpers/gateway-lab.ts';
import { budget, guarding } from '../helpers/guarding.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule('db.example.com', { ports: [22, 3306, 5432] }),
      rule('odd.example.com', { ports: [8443], credential: 'anthropic' }),
    ],
    credentials: [credential()],
  });
});
afterAll(() => lab.close());

describe('any TCP protocol, by name and port', () => {
  test('a server that speaks first is heard before the client has said a word', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('SSH-2.0-test\r\n');
      socket.on('data', (piece) => socket.end(`got ${piece.toString()}`));
    });
    lab.route('db.example.com', 22, await listen(server));
    const socket = await rawConnect(await lab.open('db.example.com', 22));
    const greeting = await new Promise<string>((resolve) => socket.once('data', (piece: Buffer) => resolve(piece.toString())));
    expect(greeting).toBe('SSH-2.0-test\r\n');
    expect((await talk(socket, ['hello'])).text).toBe('got hello');
    server.close();
  });

  test('each side may end its half alone, and large amounts arrive whole', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const parts: Buffer[] = [];
      socket.on('data', (piece: Buffer) => parts.push(piece));
      // Answers only after the client has ended its half.
      socket.on('end', () => socket.end(Buffer.concat(parts)));
    });
    lab.route('db.example.com', 5432, await listen(server));
    const sent = randomBytes(3_000_000);
    const socket = await rawConnect(await lab.open('db.example.com', 5432));
    const got: Buffer[] = [];
    socket.on('data', (piece: Buffer) => got.push(piece));
    socket.end(sent);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(Buffer.concat(got).equals(sent)).toBe(true);
    await lab.settled();
    expect(lab.entries.at(-1)).toMatchObject({
      action: 'net.exchange',
      outcome: 'ok',
      subject: 'db.example.com:5432',
      detail: { bytesOut: sent.length, bytesIn: sent.length },
    });
    server.close();
  });

  test('a connection is cut when the bytes it may send are used up, though nobody looks at them', async () => {
    const ledger = openUsageLedger(':memory:');
    const bounded = await createLab({
      rules: [rule('db.example.com', { ports: [5432] })],
      sandbox: { guarding: guarding({ ledger, rules: { budgets: [budget({ bytesOut: 1000 })] } }) },
    });
    const server = createServer((socket) => void socket.on('error', () => undefined).resume());
    bounded.route('db.example.com', 5432, await listen(server));
    const socket = await rawConnect(await bounded.open('db.example.com', 5432));
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.alloc(2500));
    await closed;
    await bounded.settled();
    expect(bounded.entries.at(-1)).toMatchObject({ outcome: 'budget-exceeded', detail: { bytesOut: 2500 } });
    await bounded.close();
    server.close();
  });

  test('a port no rule names is reset and recorded', async () => {
    expect(await talk(await rawConnect(await lab.open('db.example.com', 25)), ['EHLO x\r\n'])).toEqual({
      text: '',
      end: 'reset',
    });
    expect(lab.lastDenial()).toMatchObject({ decision: 'deny', outcome: 'port-not-allowed', subject: 'db.example.com:25' });
  });

  test('a reset of the server reaches the client', async () => {
    const server = createServer((socket: Socket) => void socket.resetAndDestroy());
    lab.route('db.example.com', 3306, await listen(server));
    expect((await talk(await rawConnect(await lab.open('db.example.com', 3306)), ['x'])).text).toBe('');
    server.close();
  });

  test('on another port with a credential TLS is told from plain HTTP by its first byte', async () => {
    const sink = await sinkAt(lab, 'odd.example.com', 8443);
    const socket = await tlsTo(await lab.open('odd.example.com', 8443), 'odd.example.com', { ca: lab.authority.certificatePem });
    const answer = await talk(socket, ['GET / HTTP/1.1\r\nHost: odd.example.com:8443\r\nConnection: close\r\n\r\n']);
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(sink.seen[0]?.headers).toMatchObject({ 'x-api-key': canary, host: 'odd.example.com:8443' });
    const plain = await talk(await rawConnect(await lab.open('odd.example.com', 8443)), [
      'GET / HTTP/1.1\r\nHost: odd.example.com:8443\r\nConnection: close\r\n\r\n',
    ]);
    expect(plain.text).toContain('credential-needs-tls');
    sink.close();
  });
});

describe("the host's own proxy", () => {
  interface Proxy {
    readonly heads: string[];
    readonly port: number;
    readonly close: () => void;
  }

  async function proxyTo(target: () => number, options: { readonly status?: string } = {}): Promise<Proxy> {
    const heads: string[] = [];
    const { connect } = await import('node:net');
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (piece: Buffer) => {
        const text = piece.toString('latin1');
        heads.push(text);
        if (options.status !== undefined) {
          socket.end(`HTTP/1.1 ${options.status}\r\n\r\n`);
          return;
        }
        const upstream = connect(target(), '127.0.0.1');
        upstream.on('error', () => socket.destroy());
        if (text.startsWith('CONNECT')) {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        } else {
          upstream.write(piece);
        }
        socket.pipe(upstream).pipe(socket);
      });
    });
    const port = await listen(server);
    return { heads, port, close: () => void server.close() };
  }

  const rules = [
    rule('keyed.example.com', { credential: 'anthropic' }),
    rule('opaque.example.com'),
    rule('plain.example.com', { ports: [80] }),
    rule('direct.example.com', { ports: [80] }),
  ];

  test('carries TLS by CONNECT with its credentials, plain HTTP in absolute form, and never what is to go directly', async () => {
    let target = 0;
    const proxy = await proxyTo(() => target);
    const url = `http://us%40er:pass@127.0.0.1:${proxy.port}`;
    const upstreamProxy = proxySettings(environmentOf({ HTTPS_PROXY: url, HTTP_PROXY: url, NO_PROXY: 'direct.example.com' }));
    const own = await createLab({ rules, credentials: [credential()], gateway: { upstreamProxy } });
    const keyed = await sinkAt(own, 'keyed.example.com', 443);
    target = keyed.port;
    const socket = await tlsTo(await own.open('keyed.example.com', 443), 'keyed.example.com', {
      ca: own.authority.certificatePem,
    });
    expect((await talk(socket, ['GET /k HTTP/1.1\r\nHost: keyed.example.com\r\nConnection: close\r\n\r\n'])).text).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect(keyed.seen[0]?.headers).toMatchObject({ 'x-api-key': canary });
    const authorization = `Basic ${Buffer.from('us@er:pass').toString('base64')}`;
    expect(proxy.heads[0]).toBe(
      `CONNECT keyed.example.com:443 HTTP/1.1\r\nHost: keyed.example.com:443\r\nProxy-Authorization: ${authorization}\r\n\r\n`,
    );
    const plain = await sinkAt(own, 'plain.example.com', 80, { plain: true });
    target = plain.port;
    await talk(await rawConnect(await own.open('plain.example.com', 80)), [
      'GET /p HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n\r\n',
    ]);
    expect(proxy.heads[1]).toMatch(/^GET http:\/\/plain\.example\.com\/p HTTP\/1\.1\r\n/);
    expect(proxy.heads[1]?.toLowerCase()).toContain(`proxy-authorization: ${authorization.toLowerCase()}`);
    expect(own.lookups).toEqual([]);
    const direct = await sinkAt(own, 'direct.example.com', 80, { plain: true });
    await talk(await rawConnect(await own.open('direct.example.com', 80)), [
      'GET /d HTTP/1.1\r\nHost: direct.example.com\r\nConnection: close\r\n\r\n',
    ]);
    expect(direct.seen).toHaveLength(1);
    expect(proxy.heads).toHaveLength(2);
    [keyed, plain, direct, proxy].forEach((one) => one.close());
    await own.close();
  });

  test('that refuses, says nothing or is gone is named in the answer, its credentials are not', async () => {
    for (const status of ['407 Proxy Authentication Required', '403 Forbidden', 'nonsense']) {
      const proxy = await proxyTo(() => 1, { status });
      const upstreamProxy = proxySettings(environmentOf({ https_proxy: `http://user:topsecret@127.0.0.1:${proxy.port}` }));
      const own = await createLab({ rules, credentials: [credential()], gateway: { upstreamProxy } });
      const socket = await tlsTo(await own.open('keyed.example.com', 443), 'keyed.example.com', {
        ca: own.authority.certificatePem,
      });
      const answer = await talk(socket, ['GET /k HTTP/1.1\r\nHost: keyed.example.com\r\nConnection: close\r\n\r\n']);
      expect(answer.text).toMatch(/^HTTP\/1\.1 502 [\s\S]*proxy-refused/);
      expect(answer.text + JSON.stringify(own.entries)).not.toContain('topsecret');
      proxy.close();
      await own.close();
    }
  });
});
