import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type SecureServerOptions } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';

import { createAuthority, createLeafSigner, type LeafSigner } from '../../gateway/tls/authority.ts';
import { startResolver } from './resolver.ts';
import type { Answer, Arrival, Respond, World } from './world.ts';

/** Starts the outside of a lab: servers on loopback ports of their own, a certificate authority, a resolver. */
export interface StartedWorld extends World {
  /** of the authority that all servers have their certificates from, PEM */
  readonly certificatePem: string;
  readonly resolverAddress: string;
  readonly ports: { readonly tls: number; readonly plain: number; readonly raw: number };
}

const greatestBody = 64 * 1024;

export async function startWorld(): Promise<StartedWorld> {
  const seen: Arrival[] = [];
  const note: Note = (arrival) => {
    const row = { at: Date.now(), ...arrival };
    seen.push(row);
    return row;
  };
  const authority = await createAuthority({ name: 'proof' });
  const leaves = await createLeafSigner(authority);
  const resolver = await startResolver();
  const listeners = createListeners(note);
  let respond: Respond | undefined;
  const serving = (server: string): Serving => ({ note, server, respond: () => respond });
  const ports = {
    tls: await listeners.open('tls', secureServer(leaves, serving('tls'))),
    plain: await listeners.open('plain', createHttpServer(handler(serving('plain')))),
    raw: await listeners.open('raw', rawServer('raw', note)),
  };
  return {
    seen,
    asked: resolver.asked,
    certificatePem: authority.certificatePem,
    resolverAddress: resolver.address,
    ports,
    resolve: resolver.answer,
    respond(answer) {
      respond = answer;
    },
    listen: async (server, address, port) => ({ port: await listeners.open(server, rawServer(server, note), { address, port }) }),
    async close() {
      resolver.close();
      await listeners.close();
    },
  };
}

function createListeners(note: Note) {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  return {
    async open(name: string, server: Server, { address = '127.0.0.1', port = 0 }: Place = {}): Promise<number> {
      server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        socket.on('error', () => undefined);
        note({ server: name, kind: 'connection' });
      });
      servers.push(server);
      server.listen(port, address);
      await once(server, 'listening');
      const place = server.address();
      return typeof place === 'object' && place !== null ? place.port : port;
    },
    async close(): Promise<void> {
      sockets.forEach((socket) => socket.destroy());
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))));
    },
  };
}

/** HTTP/1.1 and 2 over TLS, with a certificate for whatever name is asked for. */
function secureServer(leaves: LeafSigner, serving: Serving): Server {
  const contexts = new Map<string, SecureContext>();
  const contextFor = async (host: string): Promise<SecureContext> => {
    const context = contexts.get(host) ?? createSecureContext({ key: leaves.privateKeyPem, cert: await leaves.sign(host) });
    contexts.set(host, context);
    return context;
  };
  const SNICallback: SecureServerOptions['SNICallback'] = (host, done) => {
    serving.note({ server: serving.server, kind: 'hello', host });
    void contextFor(host).then(
      (context) => done(null, context),
      (error: Error) => done(error),
    );
  };
  const server = createSecureServer({ allowHTTP1: true, SNICallback }, handler(serving));
  return server.on('sessionError', () => undefined);
}

interface Place {
  readonly address?: string;
  readonly port?: number;
}

type Note = (arrival: Omit<Arrival, 'at'>) => Arrival;

/** Writes down what it is sent and sends it back. */
function rawServer(name: string, note: Note): Server {
  return createServer((socket) => {
    const row = note({ server: name, kind: 'bytes', body: '' });
    socket.on('data', (piece: Buffer) => {
      row.body = `${row.body ?? ''}${piece.toString('latin1')}`.slice(0, greatestBody);
      socket.write(piece);
    });
  });
}

interface Serving {
  readonly note: Note;
  readonly server: string;
  readonly respond: () => Respond | undefined;
}

/** What the answers of HTTP/1.1 and HTTP/2 have in common. */
interface Reply {
  readonly writeHead: (status: number, headers: Record<string, string>) => unknown;
  readonly end: (body: string | Uint8Array) => unknown;
  readonly destroy: () => unknown;
  readonly on: (event: 'error', listener: () => void) => unknown;
}

const handler = (serving: Serving) => (request: IncomingMessage | Http2ServerRequest, response: Reply) =>
  void answerRequest(request, response, serving);

async function answerRequest(
  request: IncomingMessage | Http2ServerRequest,
  response: Reply,
  { note, server, respond }: Serving,
): Promise<void> {
  const { method, url, rawHeaders } = request;
  const headers = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ''] as const] : [],
  );
  const host = headers.find(([name]) => name === 'host' || name === ':authority')?.[1];
  const row = note({ server, kind: 'request', method, url, host, headers, body: '' });
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  try {
    for await (const piece of request) {
      row.body = `${row.body ?? ''}${Buffer.from(piece).toString('latin1')}`.slice(0, greatestBody);
    }
    const answer: Answer = (await respond()?.(row)) ?? echo(row);
    response.writeHead(answer.status, { ...answer.headers });
    response.end(answer.body ?? '');
  } catch {
    // The caller went away in the middle: what it had sent is written down.
    response.destroy();
  }
}

function echo({ method, url, headers, body }: Arrival): Answer {
  const text = `${JSON.stringify({ method, url, headers, body })}\n`;
  return { status: 200, headers: { 'content-type': 'application/json' }, body: text };
}
