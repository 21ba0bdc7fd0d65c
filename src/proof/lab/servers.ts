import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type SecureServerOptions } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';

import type { ContextFor } from './certificates.ts';
import type { Answer, Arrival, Respond, Script } from './world.ts';

/** The kinds of server that a lab has. Each records what it is sent before it answers. */

export type Note = (arrival: Omit<Arrival, 'at'>) => Arrival;

export interface Serving {
  readonly note: Note;
  readonly server: string;
  readonly respond: () => Respond | undefined;
}

const greatestBody = 64 * 1024;

export interface Listeners {
  readonly open: (name: string, server: Server, place?: Place) => Promise<number>;
  readonly close: () => Promise<void>;
}

export interface Place {
  readonly address?: string;
  readonly port?: number;
}

export function createListeners(note: Note): Listeners {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  return {
    async open(name, server, { address = '127.0.0.1', port = 0 } = {}) {
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
    async close() {
      sockets.forEach((socket) => socket.destroy());
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))));
    },
  };
}

/** HTTP/1.1 and 2 over TLS, with a certificate for whatever name is asked for. */
export function secureServer(contextFor: ContextFor, serving: Serving): Server {
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

/** Writes down what it is sent and sends it back. */
export function rawServer(name: string, note: Note): Server {
  return createServer((socket) => {
    const row = note({ server: name, kind: 'bytes', body: '' });
    socket.on('data', (piece: Buffer) => {
      append(row, piece);
      socket.write(piece);
    });
  });
}

/**
 * Answers each request head with the very bytes that a script gives, however wrong they are. All that comes and is no
 * request, or comes behind a switch of protocols, is written down as content of the request before.
 */
export function scriptedServer(note: Note, script: () => Script | undefined): Server {
  return createServer((socket) => {
    let held = '';
    let last: Arrival | undefined;
    let isSwitched = false;
    socket.on('data', (piece: Buffer) => {
      held += piece.toString('latin1');
      for (let end = endOfHead(held); !isSwitched && end !== -1; end = endOfHead(held)) {
        last = note({ server: 'scripted', kind: 'request', ...readHead(held.slice(0, end)), body: '' });
        held = held.slice(end + 4);
        const answer = script()?.(last) ?? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
        isSwitched = answer.startsWith('HTTP/1.1 101 ');
        socket.write(answer, 'latin1');
      }
      if (last !== undefined && (isSwitched || !/^[A-Z]/.test(held))) {
        append(last, Buffer.from(held, 'latin1'));
        held = '';
      }
    });
  });
}

/** Where the head of a request ends; -1: there is none, or not yet. */
function endOfHead(text: string): number {
  return /^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(text) ? text.indexOf('\r\n\r\n') : -1;
}

function readHead(text: string): Pick<Arrival, 'method' | 'url' | 'host' | 'headers'> {
  const [first = '', ...lines] = text.split('\r\n');
  const [method, url] = first.split(' ');
  const headers = lines.map((line): readonly [string, string] => {
    const at = line.indexOf(':');
    return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
  });
  return { method, url, headers, host: headers.find(([name]) => name === 'host')?.[1] };
}

function append(row: Arrival, piece: Buffer): void {
  row.body = `${row.body ?? ''}${piece.toString('latin1')}`.slice(0, greatestBody);
}

/** What the answers of HTTP/1.1 and HTTP/2 have in common. */
interface Reply {
  readonly writeHead: (status: number, headers: Record<string, string>) => unknown;
  readonly end: (body: string | Uint8Array) => unknown;
  readonly destroy: () => unknown;
  readonly on: (event: 'error', listener: () => void) => unknown;
}

export const handler = (serving: Serving) => (request: IncomingMessage | Http2ServerRequest, response: Reply) =>
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
      append(row, Buffer.from(piece));
    }
    row.trailers = request.rawTrailers;
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
