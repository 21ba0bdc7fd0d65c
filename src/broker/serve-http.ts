import { createServer, STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, Readable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { gather } from '../base/gather.ts';
import type { Reply } from './call.ts';
import { malformed, type BrokerRefusal } from './refusal.ts';

/**
 * Serves HTTP/1.1 to Docker clients with Node's strict parser: one server for all sandboxes, each connection with its own
 * broker. A client's bytes never reach the engine: a handler answers, and this writes the answer.
 */

export interface Incoming {
  readonly method: string;
  /** as it was sent, without the query */
  readonly path: string;
  readonly query: string;
  /** bounded */
  readonly content: Readable;
  readonly isUpgrade: boolean;
  readonly signal: AbortSignal;
}

/** Never rejects but with a `BrokerRefusal` or a fault of the engine. */
export type Answer = (incoming: Incoming) => Promise<Reply>;

export interface BrokerHttp {
  readonly serve: (socket: Socket, answer: Answer, toRefusal: (error: unknown) => BrokerRefusal) => void;
}

interface Connection {
  readonly answer: Answer;
  readonly toRefusal: (error: unknown) => BrokerRefusal;
}

const headerBytes = 32 * 1024;
/** Contexts of builds are the longest bodies. */
const greatestBody = 2 * 1024 ** 3;
const versionHeaders = { 'Api-Version': '1.41', 'Docker-Experimental': 'false', Ostype: 'linux', Server: 'casemate' };

export function createBrokerHttp(): BrokerHttp {
  const connections = new WeakMap<Duplex, Connection>();
  const server = createServer({
    maxHeaderSize: headerBytes,
    insecureHTTPParser: false,
    headersTimeout: 60_000,
    requestTimeout: 0,
    keepAliveTimeout: 60_000,
  });
  server.on('request', (request, response) => {
    const connection = connections.get(request.socket);
    if (connection === undefined) {
      request.socket.destroy();
      return;
    }
    void answerRequest(request, response, connection);
  });
  server.on('upgrade', (request, socket, head) => {
    const connection = connections.get(socket);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    void answerUpgrade({ request, socket, head }, connection);
  });
  server.on('connect', (_request, socket) => void socket.destroy());
  server.on('clientError', (_error, socket) => void socket.destroy());
  return {
    serve(socket, answer, toRefusal) {
      connections.set(socket, { answer, toRefusal });
      // A stream of logs may be silent for hours.
      socket.setTimeout(0);
      server.emit('connection', socket);
      socket.resume();
    },
  };
}

function splitTarget(request: IncomingMessage): Pick<Incoming, 'method' | 'path' | 'query'> {
  const { method = '', url = '' } = request;
  const at = url.indexOf('?');
  return at < 0 ? { method, path: url, query: '' } : { method, path: url.slice(0, at), query: url.slice(at + 1) };
}

async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, toRefusal }: Connection,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.on('error', () => undefined);
  const reply = await answer({
    ...splitTarget(request),
    content: bounded(request),
    isUpgrade: false,
    signal: gone.signal,
  }).catch((error: unknown) => refusalReply(toRefusal(error)));
  // What was not read of the body is not waited for.
  request.resume();
  await write(response, reply, request.method === 'HEAD').catch(() => response.destroy());
}

async function write(response: ServerResponse, reply: Reply, isHead: boolean): Promise<void> {
  for (const [name, value] of Object.entries(versionHeaders)) {
    response.setHeader(name, value);
  }
  if (reply.kind === 'nothing') {
    response.writeHead(reply.status).end();
    return;
  }
  if (reply.kind === 'json' || reply.kind === 'text') {
    const text = reply.kind === 'json' ? `${JSON.stringify(reply.body)}\n` : reply.body;
    const contentType = reply.kind === 'json' ? 'application/json' : 'text/plain; charset=utf-8';
    const more = reply.kind === 'text' ? reply.headers : {};
    response.writeHead(reply.status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text), ...more });
    response.end(isHead ? undefined : text);
    return;
  }
  const contentType = reply.kind === 'stream' ? reply.contentType : 'application/vnd.docker.raw-stream';
  response.writeHead(200, { 'Content-Type': contentType });
  response.flushHeaders();
  if (reply.kind === 'both-ways') {
    // A client that did not ask for an upgrade only listens.
    reply.source.end();
  }
  await pipeline(reply.source, response);
}

interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

async function answerUpgrade({ request, socket, head }: Upgrade, { answer, toRefusal }: Connection): Promise<void> {
  const gone = new AbortController();
  socket.on('error', () => undefined);
  socket.once('close', () => gone.abort());
  try {
    const content = await bodyOf(request, socket, head);
    const reply = await answer({
      ...splitTarget(request),
      content: Readable.from([content]),
      isUpgrade: true,
      signal: gone.signal,
    });
    if (reply.kind !== 'both-ways') {
      endWith(socket, reply);
      return;
    }
    const lines = [
      'HTTP/1.1 101 UPGRADED',
      'Content-Type: application/vnd.docker.raw-stream',
      'Connection: Upgrade',
      'Upgrade: tcp',
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    await carry(socket, reply.source);
  } catch (error) {
    if (!gone.signal.aborted) {
      endWith(socket, refusalReply(toRefusal(error)));
    }
  }
}

/** Either side may end what it says and still listen. Both are closed when one is gone. */
async function carry(socket: Duplex, source: Duplex): Promise<void> {
  // Both ways and the parser of HTTP listen for the end of one connection: more than Node takes for usual.
  socket.setMaxListeners(32);
  source.on('error', () => void socket.destroy());
  source.once('close', () => void socket.end());
  socket.once('close', () => void source.destroy());
  await Promise.allSettled([pipeline(socket, source, { end: true }), pipeline(source, socket, { end: true })]);
}

/** Node leaves the body of such a request to whoever takes the connection. */
async function bodyOf(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Buffer> {
  const length = request.headers['content-length'] ?? '0';
  if (request.headers['transfer-encoding'] !== undefined || !/^\d{1,7}$/.test(length) || Number(length) > 1024 * 1024) {
    throw malformed('a request that becomes a stream has a short body of a known length');
  }
  const wanted = Number(length);
  const held = gather();
  held.add(head);
  if (held.size() < wanted) {
    for await (const piece of socket.iterator({ destroyOnReturn: false })) {
      held.add(Buffer.from(piece));
      if (held.size() >= wanted) {
        break;
      }
    }
  }
  const have = held.take();
  if (have.length > wanted) {
    socket.unshift(have.subarray(wanted));
  }
  return have.subarray(0, wanted);
}

function endWith(socket: Duplex, reply: Reply): void {
  const status = reply.kind === 'json' || reply.kind === 'text' || reply.kind === 'nothing' ? reply.status : 500;
  const text = reply.kind === 'json' ? JSON.stringify(reply.body) : '';
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
}

function refusalReply({ status, message }: BrokerRefusal): Reply {
  return { kind: 'json', status, body: { message } };
}

function bounded(request: IncomingMessage): Readable {
  let size = 0;
  const through = new PassThrough();
  request.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size > greatestBody) {
      request.destroy(malformed('the body is too long'));
    }
  });
  // Piped, so that a slow reader holds the client back.
  request.pipe(through);
  request.once('error', (error) => through.destroy(error));
  through.on('error', () => undefined);
  return through;
}
