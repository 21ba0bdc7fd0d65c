/** An upstream that breaks the rules spoils its own answer, and neither the next one nor another sandbox's. */
import { once } from 'node:events';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createLab, credential, listen, rule, type Lab } from '../helpers/gateway-lab.ts';
import { http2Get } from '../helpers/http2-client.ts';
import { ownWait } from '../helpers/own-wait.ts';
import { rawConnect, talk, type RawAnswer } from '../helpers/raw-client.ts';

const plain = 'up.example.com';
const secure = 'h2.example.com';
let lab: Lab;
let servers: { close: () => unknown }[] = [];

beforeEach(async () => {
  lab = await createLab({
    rules: [rule(plain, { ports: [80] }), rule(secure, { credential: 'anthropic' })],
    credentials: [credential()],
    gateway: { limits: { answerMs: 5000 } },
  });
});
afterEach(async () => {
  await lab.close();
  servers.forEach((server) => server.close());
  servers = [];
});

/** `up.example.com` does this to each connection. */
async function upstream(act: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    act(socket);
  });
  servers.push(server);
  lab.route(plain, 80, await listen(server));
  return server;
}

async function ask(requests: string, options: { readonly quietMs?: number } = {}): Promise<RawAnswer> {
  return talk(await rawConnect(await lab.open(plain, 80)), [requests], { quietMs: 1500, ...options });
}

const get = (path: string, more = 'Connection: close\r\n'): string => `GET ${path} HTTP/1.1\r\nHost: ${plain}\r\n${more}\r\n`;
const ok = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

describe('over HTTP/1.1', () => {
  test('a second answer behind the first is nobody’s', async () => {
    await upstream((socket) => socket.on('data', () => void socket.write(ok('first') + ok('STALE'))));
    const answer = await ask(get('/a', '') + get('/b'));
    expect(answer.text).not.toContain('STALE');
    expect(answer.text).toContain('first');
  });

  test('an answer that comes unasked on a kept connection is not the answer of the next request', async () => {
    let connections = 0;
    await upstream((socket) => {
      connections += 1;
      const mine = connections;
      socket.on('data', () => {
        socket.write(ok(`from ${mine}`));
        setTimeout(() => socket.write(ok('STALE')), 50);
      });
    });
    const caller = await rawConnect(await lab.open(plain, 80));
    const texts: string[] = [];
    caller.on('data', (piece) => texts.push(piece.toString('latin1')));
    const ended = once(caller, 'close');
    caller.write(get('/a', ''));
    await expect.poll(() => texts.join('')).toContain('from 1');
    await ownWait(300);
    caller.write(get('/b'));
    await ended;
    expect(texts.join('')).not.toContain('STALE');
  });

  test('announcements without end are a bad answer', async () => {
    await upstream((socket) =>
      socket.once('data', () => {
        const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(10)), 5);
        socket.once('close', () => clearInterval(timer));
      }),
    );
    expect((await ask(get('/'))).text).toMatch(/^HTTP\/1\.1 502 [\s\S]*bad-answer/);
  });

  test.each([
    ['trailers', 'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n', 'X-More: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'],
    ['extensions of a chunk', 'Transfer-Encoding: chunked\r\n\r\n1;', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'],
    ['fields', '', 'X-More: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'],
  ])('%s without end are cut', async (_what, head, more) => {
    let sent = 0;
    await upstream((socket) =>
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\n${head}`);
        const timer = setInterval(() => {
          sent += 100;
          socket.write(more.repeat(100));
        }, 2);
        socket.once('close', () => clearInterval(timer));
      }),
    );
    const answer = await ask(get('/'), { quietMs: 3000 });
    expect(answer.end).not.toBe('timeout');
    expect(answer.text).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(sent).toBeLessThan(100_000);
  });

  test('an answer before the request has ended is passed on, and the rest of the request is not waited for', async () => {
    await upstream((socket) =>
      socket.once('data', () => void socket.end(`HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig`)),
    );
    const head = `POST / HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 1000000\r\n\r\n`;
    expect((await ask(head + 'x'.repeat(1000))).text).toMatch(/^HTTP\/1\.1 413 [\s\S]*big$/);
  });

  test('a reset in the middle of an answer is seen as broken', async () => {
    await upstream((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
        setTimeout(() => socket.resetAndDestroy(), 50);
      }),
    );
    const answer = await ask(get('/'));
    expect(answer.end).not.toBe('timeout');
    await lab.settled();
    expect(lab.entries.at(-1)).toMatchObject({ outcome: 'answer-cut' });
  });

  test('more than the length it stated is not passed on', async () => {
    await upstream((socket) => socket.once('data', () => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA')));
    const answer = await ask(get('/'));
    expect(answer.text).toMatch(/ok$/);
    expect(answer.text).not.toContain('EXTRA');
  });

  test.each([301, 302, 307, 308])('a redirect with %s is passed on and never followed', async (status) => {
    await upstream((socket) =>
      socket.once(
        'data',
        () => void socket.end(`HTTP/1.1 ${status} Moved\r\nLocation: http://127.0.0.1/secret\r\nContent-Length: 0\r\n\r\n`),
      ),
    );
    const dials = lab.dials.length;
    expect((await ask(get('/'))).text).toContain(`HTTP/1.1 ${status}`);
    expect(lab.dials.length - dials).toBe(1);
  });
});

describe('over HTTP/2', () => {
  async function http2(act: (stream: ServerHttp2Stream, nth: number) => void): Promise<Http2SecureServer> {
    const server = createSecureServer({ key: lab.upstreamLeaves.privateKeyPem, cert: await lab.upstreamLeaves.sign(secure) });
    let nth = 0;
    server.on('sessionError', () => undefined);
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      nth += 1;
      act(stream, nth);
    });
    servers.push(server);
    lab.route(secure, 443, await listen(server));
    return server;
  }
  const request = async () => http2Get(await lab.open(secure, 443), { host: secure, ca: lab.authority.certificatePem });
  const fine = (stream: ServerHttp2Stream): void => {
    stream.respond({ ':status': 200 });
    stream.end('fine');
  };

  test.each<[string, (stream: ServerHttp2Stream) => void]>([
    ['refuses a stream', (stream) => stream.close(7)],
    [
      'resets it within the answer',
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('half');
        // Not `close`, which ends the content properly first.
        setTimeout(() => stream.destroy(new Error('broken')), 30);
      },
    ],
    [
      'says goodbye within the answer and breaks off',
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('half');
        setTimeout(() => {
          stream.session?.goaway(0);
          stream.session?.destroy();
        }, 30);
      },
    ],
    [
      'sends less than the length it stated',
      (stream) => {
        stream.respond({ ':status': 200, 'content-length': 100 });
        stream.end('half');
      },
    ],
    [
      'sends a header that is too large',
      (stream) => stream.respond({ ':status': 200, 'x-large': 'y'.repeat(80_000) }, { endStream: true }),
    ],
    [
      'announces its answer without end',
      (stream) => {
        const timer = setInterval(() => stream.destroyed || stream.additionalHeaders({ ':status': 103 }), 2);
        stream.once('close', () => clearInterval(timer));
      },
    ],
  ])('one that %s: this exchange is seen as broken, the next one is served', async (_what, act) => {
    await http2((stream, nth) => (nth === 1 ? act(stream) : fine(stream)));
    const broken = await request();
    expect(broken.status === 200 ? broken.code : 1).not.toBe(0);
    expect(await request()).toMatchObject({ status: 200, text: 'fine', code: 0 });
  });
});
