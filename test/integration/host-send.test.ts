import { createServer as createHttpServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { createHostSend, hostPost } from '../../src/gateway/upstream/host-post.ts';
import { proxySettings } from '../../src/gateway/upstream/proxy-settings.ts';
import { environmentOf } from '../../src/system/environment.ts';

/** The requests of the host's own: for keys of AWS, to authorization servers. */

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) {
    close();
  }
});

const direct = createHostSend({ upstreamProxy: undefined, trustStorePem: undefined });
const portOf = (server: Pick<Server, 'address'>): number => (server.address() as AddressInfo).port;

async function startServer(status = 200): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createHttpServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body: Buffer.concat(pieces).toString('utf8') });
      response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end('answered');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${portOf(server)}`, seen };
}

test('a request is sent as it was made, and what is signed stays as it is', async () => {
  const { url, seen } = await startServer();
  const fields = [
    ['host', 'somebody.else'],
    ['content-type', 'application/x-www-form-urlencoded'],
    ['authorization', 'AWS4-HMAC-SHA256 x'],
    ['accept', 'text/xml'],
  ] as const;
  const reply = await direct({ url: `${url}/sts?a=1`, method: 'POST', fields, body: 'Action=AssumeRole', timeoutMs: 30_000 });
  expect(reply).toEqual({ status: 200, body: 'answered' });
  expect(seen).toMatchObject([
    {
      method: 'POST',
      url: '/sts?a=1',
      body: 'Action=AssumeRole',
      headers: { authorization: 'AWS4-HMAC-SHA256 x', accept: 'text/xml' },
    },
  ]);
  expect(seen[0]?.headers).toMatchObject({ host: new URL(url).host, 'content-length': '17', 'accept-encoding': 'identity' });
});

test('a GET has no content, and no redirect is followed', async () => {
  const { url, seen } = await startServer(302);
  const reply = await direct({ url: `${url}/profile`, method: 'GET', fields: [], body: undefined, timeoutMs: 30_000 });
  expect(reply.status).toBe(302);
  expect(seen.map(({ method, body, headers }) => [method, body, headers['content-length']])).toEqual([['GET', '', undefined]]);
});

test('a post of a login has its type of content', async () => {
  const { url, seen } = await startServer();
  await hostPost(direct)({ url, contentType: 'application/json', body: '{}', timeoutMs: 30_000 });
  expect(seen[0]).toMatchObject({ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
});

test('it goes through the proxy of the host', async () => {
  const asked: string[] = [];
  const proxy = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      asked.push(data.toString('latin1').split('\r\n')[0] ?? '');
      socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  closing.push(() => proxy.close());
  const env = environmentOf({ HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}` });
  const send = createHostSend({ upstreamProxy: proxySettings(env), trustStorePem: undefined });
  const url = 'https://sts.eu-west-1.amazonaws.com/';
  await expect(send({ url, method: 'GET', fields: [], body: undefined, timeoutMs: 30_000 })).rejects.toMatchObject({
    name: 'UnsentError',
  });
  expect(asked).toEqual(['CONNECT sts.eu-west-1.amazonaws.com:443 HTTP/1.1']);
});

test('without TLS only this very machine is asked', async () => {
  const asked = direct({ url: 'http://sts.example.com/', method: 'GET', fields: [], body: undefined, timeoutMs: 1000 });
  await expect(asked).rejects.toThrow('servers are asked over TLS only');
});
