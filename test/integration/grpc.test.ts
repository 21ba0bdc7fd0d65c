/** gRPC through opened TLS: HTTP/2 end to end, trailers both ways, streams in both directions at the same time. */
import {
  connect as http2Connect,
  createSecureServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2SecureServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { connect as tlsConnect } from 'node:tls';

import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { canary, createLab, credential, listen, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';

const host = 'grpc.example.com';
type Headers = Readonly<Record<string, unknown>>;

let lab: Lab;
let server: Http2SecureServer;
let session: ClientHttp2Session;
let port: number;
let requestTrailers: Headers | undefined;
let requestHeaders: Headers = {};

beforeAll(async () => {
  lab = await createLab({
    rules: [host, 'http1.example.com'].map((name) => rule(name, { credential: 'anthropic' })),
    credentials: [credential()],
  });
  server = createSecureServer({
    key: lab.upstreamLeaves.privateKeyPem,
    cert: await lab.upstreamLeaves.sign(host),
    allowHTTP1: true,
  });
  server.on('stream', (stream, headers) => {
    requestHeaders = headers;
    stream.on('error', () => undefined);
    stream.on('trailers', (trailers: Headers) => (requestTrailers = trailers));
    answers[String(headers[':path'])]?.(stream);
  });
  lab.route(host, 443, await listen(server));
  port = await lab.open(host, 443);
});
afterAll(async () => {
  await lab.close();
  server.close();
});
beforeEach(() => {
  requestTrailers = undefined;
  session = http2Connect(`https://${host}`, {
    createConnection: () =>
      tlsConnect({ host: '127.0.0.1', port, servername: host, ca: lab.authority.certificatePem, ALPNProtocols: ['h2'] }),
  });
  session.on('error', () => undefined);
});
afterEach(() => session.destroy());

/** A message that is compressed by itself: a flag, its length, its bytes. */
function message(text: string): Buffer {
  const bytes = gzipSync(text);
  const head = Buffer.from([1, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** What the server does for each path. */
const answers: Readonly<Record<string, (stream: ServerHttp2Stream) => void>> = {
  '/echo.Echo/Stream': (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': `done ${canary}`, 'set-cookie': 'a=b' }),
    );
    stream.on('data', (piece: Buffer) => stream.write(`echo ${piece.toString('latin1')}`));
    stream.on('end', () => stream.end());
  },
  '/echo.Echo/Packed': (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-encoding': 'gzip' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.resume();
    stream.on('end', () => stream.end(message(`echo ${canary}`)));
  },
  '/echo.Echo/Fails': (stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' }, { endStream: true }),
  '/echo.Echo/Early': (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '8' }));
    stream.end('enough');
  },
};

interface Call {
  readonly stream: ClientHttp2Stream;
  readonly pieces: string[];
  readonly head: () => Headers;
  readonly trailers: () => Headers | undefined;
  readonly next: () => Promise<void>;
  readonly ended: Promise<number | undefined>;
}

function call(path: string, options: { readonly waitForTrailers?: boolean } = {}, fields: Headers = {}): Call {
  const stream = session.request(
    { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...fields },
    { endStream: false, ...options },
  );
  const pieces: string[] = [];
  let head: Headers = {};
  let trailers: Headers | undefined;
  stream.on('response', (headers) => (head = headers));
  stream.on('trailers', (headers) => (trailers = headers));
  stream.on('data', (piece: Buffer) => pieces.push(piece.toString('latin1')));
  stream.on('error', () => undefined);
  return {
    stream,
    pieces,
    head: () => head,
    trailers: () => trailers,
    next: () => new Promise((resolve) => stream.once('data', () => resolve())),
    ended: new Promise((resolve) => stream.once('close', () => resolve(stream.rstCode))),
  };
}

describe('a call', () => {
  test('of two streams at once: each message is answered while more are to come, and its status stands behind', async () => {
    const { stream, pieces, next, trailers, ended } = call('/echo.Echo/Stream');
    for (const message of ['one', 'two', 'three']) {
      const answered = next();
      stream.write(message);
      await answered;
    }
    stream.end();
    expect(await ended).toBe(0);
    expect(pieces).toEqual(['echo one', 'echo two', 'echo three']);
    expect(trailers()).toMatchObject({ 'grpc-status': '0', 'grpc-message': `done ${'*'.repeat(canary.length)}` });
    expect(trailers()?.['set-cookie']).toBeUndefined();
    expect(requestHeaders).toMatchObject({ te: 'trailers', 'x-api-key': canary });
  });

  test('that fails at once has its status in the head', async () => {
    const { stream, head, ended } = call('/echo.Echo/Fails');
    stream.end();
    expect(await ended).toBe(0);
    expect(head()['grpc-status']).toBe('5');
  });

  test('that is answered before it has ended gets all of the answer, its trailers too', async () => {
    const { stream, pieces, trailers, ended } = call('/echo.Echo/Early');
    stream.write('something');
    expect(await ended).toBe(0);
    expect(pieces).toEqual(['enough']);
    expect(trailers()).toMatchObject({ 'grpc-status': '8' });
  });
});

describe('messages that are compressed one by one', () => {
  test('are not asked for, and an answer of them, which cannot be searched for the key, is none', async () => {
    const { stream, head, trailers, pieces, ended } = call('/echo.Echo/Packed', {}, { 'grpc-accept-encoding': 'gzip' });
    stream.end('one');
    await ended;
    expect([head()['x-casemate-denied'], trailers()?.['grpc-status'], pieces]).toEqual(['bad-answer', '14', []]);
    expect(requestHeaders).not.toHaveProperty('grpc-accept-encoding');
    expect(requestHeaders['x-api-key']).toBe(canary);
  });

  test.each(['grpc-encoding', 'connect-content-encoding'])('do not go out: %s', async (name) => {
    requestHeaders = {};
    const { stream, head, ended } = call('/echo.Echo/Stream', {}, { [name]: 'gzip' });
    stream.end(message(`secret ${phantom}`));
    await ended;
    expect(head()['x-casemate-denied']).toBe('content-not-readable');
    expect(requestHeaders).toEqual({});
    const plain = call('/echo.Echo/Stream', {}, { [name]: 'identity' });
    plain.stream.end('one');
    expect(await plain.ended).toBe(0);
  });
});

describe('what stands behind the content of a request', () => {
  test('goes on where it is harmless', async () => {
    const { stream, ended } = call('/echo.Echo/Stream', { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'abc' }));
    stream.end('one');
    expect(await ended).toBe(0);
    expect(requestTrailers).toMatchObject({ 'x-checksum': 'abc' });
  });

  test.each([
    ['a key', { 'x-api-key': 'ATTACKER' }],
    ['an authorization', { authorization: 'Bearer ATTACKER' }],
    ['a cookie', { cookie: 'a=b' }],
    ['a phantom', { 'x-other': `x ${phantom}` }],
    ['how to read the content', { 'content-encoding': 'gzip' }],
  ])('breaks the request off where it is %s', async (_what, behind) => {
    const { stream, head, ended } = call('/echo.Echo/Stream', { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(behind));
    stream.end('one');
    expect([(await ended) === 0, head()[':status'], head()['x-casemate-denied']]).not.toEqual([true, 200, undefined]);
    await lab.settled();
    expect(requestTrailers).toBeUndefined();
    expect(lab.actions().slice(-2).join(' ')).toContain('foreign-key');
  });
});

describe('trailers of HTTP/1.1', () => {
  const older = 'http1.example.com';
  let http1: HttpsServer;
  beforeAll(async () => {
    http1 = createHttpsServer({ key: lab.upstreamLeaves.privateKeyPem, cert: await lab.upstreamLeaves.sign(older) });
    http1.on('request', (request, response) => {
      requestHeaders = request.headers;
      request.resume();
      request.on('end', () => {
        requestTrailers = request.trailers;
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('hello');
        response.addTrailers({ 'x-sum': `five ${canary}` });
        response.end();
      });
    });
    lab.route(older, 443, await listen(http1));
    olderPort = await lab.open(older, 443);
  });
  afterAll(() => void http1.close());
  let olderPort = 0;
  const post = (behind: string): string =>
    `POST /sum HTTP/1.1\r\nHost: ${older}\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: x\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n${behind}\r\n`;
  const open = () => tlsTo(olderPort, older, { ca: lab.authority.certificatePem });

  test('pass both ways', async () => {
    const answer = await talk(await open(), [post('x-checksum: abc\r\n')]);
    expect(answer.text).toMatch(new RegExp(`\r\n0\r\nx-sum: five \\*{${canary.length}}\r\n\r\n$`, 'i'));
    expect(requestTrailers).toEqual({ 'x-checksum': 'abc' });
  });

  test.each(['x-api-key: ATT', 'Content-Length: 5', 'Transfer-Encoding: chunked', 'Host: other.example.com', 'Cookie: a=b'])(
    '%s behind the content never arrives as a header, nor behind it',
    async (line) => {
      await talk(await open(), [post(`${line}\r\n`)]);
      expect(JSON.stringify([requestTrailers ?? {}, requestHeaders])).not.toMatch(/ATT|other\.example|a=b/);
      expect(requestTrailers ?? {}).toEqual({});
    },
  );
});
