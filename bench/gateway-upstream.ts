/** Process: the upstream of the gateway's measurement, HTTPS in both versions; sends and takes as much as the path says. */
import { once } from 'node:events';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createSecureContext } from 'node:tls';

import { serveTasks } from './child.ts';

export interface UpstreamData {
  readonly key: string;
  /** certificate by host */
  readonly certs: Readonly<Record<string, string>>;
  /** what `x-api-key` must hold below `/key` */
  readonly secret: string;
}

const piece = Buffer.alloc(64 * 1024, 'x');

serveTasks(async ({ key, certs, secret }: UpstreamData) => {
  const contexts = new Map(Object.entries(certs).map(([host, cert]) => [host, createSecureContext({ key, cert })]));
  const listen = async (host: string, port: number): Promise<number> => {
    const server = createSecureServer({
      allowHTTP1: true,
      http1Options: { keepAliveTimeout: 600_000 },
      SNICallback: (name, done) => done(null, contexts.get(name)),
    });
    server.on('request', (request, response) => answer(request, response, secret));
    server.on('session', (session) => session.setLocalWindowSize(16 * 1024 * 1024));
    server.listen(port, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const ready = await listen('127.0.0.1', 0);
  // `localhost` is asked for, too; a host without IPv6 has only the other one.
  await listen('::1', ready).catch(() => undefined);
  return { ready };
});

function answer(request: Http2ServerRequest, response: Http2ServerResponse, secret: string): void {
  const [, kind, what = ''] = request.url.split('/');
  if (kind === 'key' && request.headers['x-api-key'] !== secret) {
    response.writeHead(403).end('the key is not there');
  } else if (request.method === 'POST') {
    request.on('end', () => response.end('ok'));
    request.resume();
  } else if (what === 'events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: first\n\n');
    setTimeout(() => response.end('data: last\n\n'), 5);
  } else {
    send(response, Number(what));
  }
}

function send(response: Http2ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': bytes, 'content-type': 'application/octet-stream' });
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const part = left < piece.length ? piece.subarray(0, left) : piece;
      left -= part.length;
      if (!response.write(part)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}
