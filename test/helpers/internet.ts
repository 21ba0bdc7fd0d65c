import { createServer as createHttpServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';

import { createAuthority, createLeafSigner } from '../../src/gateway/tls/authority.ts';
import { listen } from './gateway-lab.ts';

/**
 * Stands for the internet on loopback: a proxy for `CONNECT`, as many hosts have one, behind which each name has a server
 * with a certificate of its own. So a policy under test is one that a person would write, without a word about loopback.
 */
export interface Internet {
  /** for `HTTPS_PROXY` */
  readonly proxy: string;
  /** of the authority of all servers, PEM */
  readonly certificatePem: string;
  /** names that were asked for, with those that nobody has */
  readonly dialled: readonly string[];
  readonly close: () => void;
}

export type Serve = (request: IncomingMessage, response: ServerResponse) => void;

export async function startInternet(sites: Readonly<Record<string, Serve>>): Promise<Internet> {
  const authority = await createAuthority({ name: 'internet' });
  const leaves = await createLeafSigner(authority);
  const contexts = new Map<string, ReturnType<typeof createSecureContext>>();
  for (const host of Object.keys(sites)) {
    contexts.set(host, createSecureContext({ key: leaves.privateKeyPem, cert: await leaves.sign(host) }));
  }
  const web = createHttpsServer({ SNICallback: (host, done) => done(null, contexts.get(host)) }, (request, response) => {
    const serve = sites[request.headers.host ?? ''];
    if (serve === undefined) {
      response.writeHead(421).end();
    } else {
      serve(request, response);
    }
  });
  const port = await listen(web);
  const dialled: string[] = [];
  const sockets = new Set<Socket>();
  const proxy = createHttpServer((_, response) => void response.writeHead(405).end());
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    const host = (request.url ?? '').split(':')[0] ?? '';
    dialled.push(host);
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (!contexts.has(host)) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const inner = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    inner.on('error', () => socket.destroy());
    inner.on('close', () => socket.destroy());
    socket.on('close', () => inner.destroy());
    socket.pipe(inner).pipe(socket);
  });
  return {
    proxy: `http://127.0.0.1:${await listen(proxy)}`,
    certificatePem: authority.certificatePem,
    dialled,
    close() {
      proxy.close();
      web.close();
      web.closeAllConnections();
      for (const socket of sockets) {
        socket.destroy();
      }
    },
  };
}

/** Hands requests to a server of this machine as they are. */
export function handTo(origin: string): Serve {
  return (request, response) => {
    const onward = httpRequest(
      new URL(request.url ?? '/', origin),
      { method: request.method, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  };
}
