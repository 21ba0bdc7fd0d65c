import {
  createSecureServer,
  connect as http2Connect,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { hostTrustStore, splitPem } from '../../src/gateway/tls/trust.ts';
import { environmentOf } from '../../src/system/environment.ts';
import type { GatewayLimits } from '../../src/gateway/limits.ts';
import { eventually } from '../../src/proof/eventually.ts';
import { createLab, credential, listen, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

let lab: Lab;
afterEach(() => lab.close());

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly broken: boolean;
}

async function client() {
  const socket = await tlsTo(await lab.open('up.example.com', 443), 'up.example.com', {
    ca: lab.authority.certificatePem,
    alpn: ['h2'],
  });
  const session = http2Connect('https://up.example.com', { createConnection: () => socket });
  session.on('error', () => undefined);
  return {
    close: () => session.destroy(),
    get: (path: string): Promise<Answer> =>
      new Promise((resolve) => {
        const stream = session.request({ ':path': path });
        const answer = { status: 0, text: '', broken: false };
        stream.setEncoding('utf8');
        stream.on('response', (headers) => (answer.status = Number(headers[':status'])));
        stream.on('data', (piece: string) => (answer.text += piece));
        stream.on('error', () => (answer.broken = true));
        stream.on('close', () => resolve({ ...answer, broken: answer.broken || stream.rstCode !== 0 }));
      }),
  };
}

async function startHttp2(
  take: (path: string, stream: ServerHttp2Stream, session: ServerHttp2Session) => void,
  limits: Partial<GatewayLimits> = {},
): Promise<{ server: Http2SecureServer; sessions: () => number }> {
  lab = await createLab({
    rules: [rule('up.example.com', { credential: 'anthropic' })],
    credentials: [credential()],
    gateway: { limits },
  });
  let sessions = 0;
  const server = createSecureServer({
    key: lab.upstreamLeaves.privateKeyPem,
    cert: await lab.upstreamLeaves.sign('up.example.com'),
  });
  server.on('session', (session) => {
    sessions += 1;
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      take(String(headers[':path']), stream, session);
    });
  });
  lab.route('up.example.com', 443, await listen(server));
  return { server, sessions: () => sessions };
}

describe('an upstream that speaks HTTP/2', () => {
  test('serves many requests over one session, and a new one after it has said goodbye', async () => {
    const { server, sessions } = await startHttp2((path, stream, session) => {
      stream.respond({ ':status': 200 });
      stream.end(path);
      if (path === '/last') {
        session.goaway();
      }
    });
    const { get, close } = await client();
    expect(await Promise.all(['/1', '/2', '/3'].map(async (path) => (await get(path)).text))).toEqual(['/1', '/2', '/3']);
    expect(sessions()).toBe(1);
    expect((await get('/last')).text).toBe('/last');
    await lab.settled();
    expect((await get('/after')).text).toBe('/after');
    expect(sessions()).toBe(2);
    close();
    server.close();
  });

  test('is left when nothing was asked of it for long, and not while it answers', async () => {
    const open = new Set<ServerHttp2Session>();
    let slow: ServerHttp2Stream | undefined;
    const take = (path: string, stream: ServerHttp2Stream, session: ServerHttp2Session): void => {
      if (!open.has(session)) {
        open.add(session);
        session.once('close', () => open.delete(session));
      }
      stream.respond({ ':status': 200 });
      if (path === '/slow') {
        slow = stream;
        stream.write('begun');
      } else {
        stream.end(path);
      }
    };
    const { server, sessions } = await startHttp2(take, { upstreamIdleMs: 100 });
    const { get, close } = await client();
    const answer = get('/slow');
    await expect.poll(() => slow).toBeDefined();
    await sleep(350);
    slow?.end(' and ended');
    expect((await answer).text).toBe('begun and ended');
    expect(await eventually(async () => (open.size === 0 ? true : undefined))).toBe(true);
    expect((await get('/again')).text).toBe('/again');
    expect(sessions()).toBe(2);
    close();
    server.close();
  });

  test('that breaks off before or within an answer is seen as broken, and the next request is served', async () => {
    const { server } = await startHttp2((path, stream, session) => {
      if (path === '/reset') {
        stream.destroy(new Error('broken'));
      } else if (path === '/die') {
        session.destroy();
      } else {
        stream.respond({ ':status': 200 });
        stream.write('begin');
        setTimeout(() => (path === '/cut' ? stream.destroy(new Error('broken')) : stream.end('end')), 30);
      }
    });
    const { get, close } = await client();
    expect(await get('/reset')).toMatchObject({ status: 502 });
    expect(await get('/cut')).toMatchObject({ status: 200, text: 'begin', broken: true });
    expect(await get('/die')).toMatchObject({ status: 502 });
    await lab.settled();
    expect(await get('/fine')).toEqual({ status: 200, text: 'beginend', broken: false });
    close();
    server.close();
  });
});

test('a caller of HTTP/2 is served by an upstream that only speaks HTTP/1.1', async () => {
  lab = await createLab({ rules: [rule('up.example.com', { credential: 'anthropic' })], credentials: [credential()] });
  const sink = await sinkAt(lab, 'up.example.com', 443, { onlyHttp1: true });
  const { get, close } = await client();
  const answers = await Promise.all(['/1', '/2', '/3', '/4'].map(async (path) => (await get(path)).status));
  expect(answers).toEqual([200, 200, 200, 200]);
  expect(sink.seen.map(({ version }) => version)).toEqual(['1.1', '1.1', '1.1', '1.1']);
  close();
  sink.close();
});

test('an upload that its caller breaks off is not completed towards the upstream', async () => {
  let completed = 0;
  let broken = 0;
  let seen = '';
  const { server } = await startHttp2((_path, stream) => {
    stream.on('data', (piece: Buffer) => (seen += piece.toString()));
    stream.on('end', () => (completed += 1));
    stream.on('close', () => (broken += stream.rstCode === 0 ? 0 : 1));
  });
  const socket = await tlsTo(await lab.open('up.example.com', 443), 'up.example.com', {
    ca: lab.authority.certificatePem,
    alpn: ['h2'],
  });
  const session = http2Connect('https://up.example.com', { createConnection: () => socket });
  const stream = session.request({ ':path': '/upload', ':method': 'POST' });
  stream.on('error', () => undefined);
  stream.write('half');
  expect(await eventually(async () => (seen === 'half' ? true : undefined))).toBe(true);
  stream.destroy(new Error('gone'));
  await eventually(async () => (completed + broken > 0 ? true : undefined));
  expect({ completed, broken }).toEqual({ completed: 0, broken: 1 });
  session.destroy();
  server.close();
});

test.each([0, 8])('an upload that is reset with code %s, frame by frame, is not completed either', async (code) => {
  let completed = 0;
  let begun = 0;
  const { server } = await startHttp2((_path, stream) => {
    begun += 1;
    stream.resume();
    stream.on('end', () => (completed += 1));
  });
  const port = await lab.open('up.example.com', 443);
  const socket = await tlsTo(port, 'up.example.com', { ca: lab.authority.certificatePem, alpn: ['h2'] });
  const frame = (type: number, stream: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0, 0, content.length, type, type === 1 ? 4 : 0, 0, 0, 0, stream]), content]);
  // POST, /, https from the static table, and the authority as a literal (RFC 7541 appendix A).
  const head = Buffer.concat([Buffer.from([0x83, 0x84, 0x87, 0x41, 14]), Buffer.from('up.example.com')]);
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, Buffer.alloc(0)),
      frame(1, 1, head),
      frame(0, 1, Buffer.from('half')),
    ]),
  );
  await expect.poll(() => begun).toBe(1);
  await lab.settled();
  socket.write(frame(3, 1, Buffer.from([0, 0, 0, code])));
  await lab.settled();
  await lab.settled();
  expect({ begun, completed }).toEqual({ begun: 1, completed: 0 });
  socket.destroy();
  server.close();
});

test('a request that may change something is not sent twice when a kept connection is dead; one that may not is', async () => {
  lab = await createLab({ rules: [rule('up.example.com', { credential: 'anthropic' })], credentials: [credential()] });
  let turn = 0;
  const sink = await sinkAt(lab, 'up.example.com', 443, {
    onlyHttp1: true,
    respond(request, response) {
      turn += 1;
      if (turn === 2 || turn === 4) {
        request.socket.destroy();
        return;
      }
      request.resume();
      request.once('end', () => void response.end('fine'));
    },
  });
  const send = async (method: string): Promise<string> => {
    const socket = await tlsTo(await lab.open('up.example.com', 443), 'up.example.com', { ca: lab.authority.certificatePem });
    return (
      await talk(socket, [
        `${method} /${method} HTTP/1.1\r\nHost: up.example.com\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      ])
    ).text.slice(9, 12);
  };
  expect([await send('GET'), await send('GET'), await send('POST')]).toEqual(['200', '200', '502']);
  expect(sink.seen.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'POST']);
  sink.close();
});

test('a kept connection that the upstream has ended is not used for the next request', async () => {
  lab = await createLab({ rules: [rule('up.example.com', { credential: 'anthropic' })], credentials: [credential()] });
  const sink = await sinkAt(lab, 'up.example.com', 443, {
    onlyHttp1: true,
    respond(request, response) {
      response.end('fine');
      // Ends quietly after the answer, as servers do with idle connections.
      setTimeout(() => request.socket.end(), 20);
    },
  });
  const statuses: string[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const socket = await tlsTo(await lab.open('up.example.com', 443), 'up.example.com', { ca: lab.authority.certificatePem });
    statuses.push(
      (
        await talk(socket, ['POST / HTTP/1.1\r\nHost: up.example.com\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'])
      ).text.slice(9, 12),
    );
    await lab.settled();
  }
  expect(statuses).toEqual(['200', '200', '200']);
  expect(sink.connections()).toBe(3);
  sink.close();
});

test('the trust of the host is its bundle, or the named one, and the extra one beside it', async () => {
  lab = await createLab({ rules: [] });
  const folder = await mkdtemp(join(tmpdir(), 'casemate-trust-'));
  const [base, extra] = [join(folder, 'base.pem'), join(folder, 'extra.pem')];
  await writeFile(base, lab.authority.certificatePem);
  await writeFile(extra, lab.upstreamAuthority.certificatePem);
  expect(splitPem(await hostTrustStore(environmentOf({ SSL_CERT_FILE: base, NODE_EXTRA_CA_CERTS: extra })))).toHaveLength(2);
  expect(splitPem(await hostTrustStore(environmentOf({ SSL_CERT_FILE: join(folder, 'absent.pem') }))).length).toBeGreaterThan(10);
  expect(splitPem(await hostTrustStore(environmentOf({ NODE_EXTRA_CA_CERTS: extra }))).length).toBeGreaterThan(
    Math.min(10, rootCertificates.length),
  );
});
