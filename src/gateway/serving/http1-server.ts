import { createServer, STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { answerRefusal } from '../exchange/answer-refusal.ts';
import { detachedExchange, http1Exchange } from './http1-exchange.ts';
import type { Exchange } from '../exchange.ts';
import type { Site } from '../live-sandbox.ts';
import { relay } from '../exchange/relay.ts';
import { refuse, statusOf, type RefusalReason } from '../refusal.ts';
import { relayUpgrade } from './websocket.ts';

/**
 * HTTP/1.1 with callers, on Node's strict parser: one server for all connections, each of which brings its site.
 * Requests of one connection are carried out one after the other, whatever was sent ahead.
 */
export interface Http1Server {
  readonly serve: (socket: Socket, site: Site) => void;
}

interface Connection {
  readonly site: Site;
  last: Promise<void>;
  waiting: number;
  /** bytes read when the last request was complete: more without a request means that a head is on its way */
  settledBytes: number;
}

const keepAliveMs = 600_000;

export function createHttp1Server({ headerBytes }: { readonly headerBytes: number }): Http1Server {
  const connections = new WeakMap<Duplex, Connection>();
  const server = createServer({
    maxHeaderSize: headerBytes,
    insecureHTTPParser: false,
    keepAliveTimeout: keepAliveMs,
    requestTimeout: 0,
    headersTimeout: 0,
  });
  server.maxHeadersCount = 0;
  const enqueue = (request: IncomingMessage, work: (site: Site) => Promise<void>): void => {
    const connection = connections.get(request.socket);
    if (connection === undefined || connection.waiting >= connection.site.live.limits.pipelined) {
      request.socket.destroy();
      return;
    }
    connection.waiting += 1;
    // What was sent ahead by a caller that has gone is not carried out.
    const workIfThere = (): Promise<void> => (request.socket.destroyed ? Promise.resolve() : work(connection.site));
    connection.last = connection.last
      .then(workIfThere)
      // Node hands over a socket that still answers, where an upgrade was sent ahead: this connection ends by it, no other.
      .catch(() => void request.socket.destroy())
      .finally(() => {
        connection.waiting -= 1;
        connection.settledBytes = request.socket.bytesRead;
      });
  };
  const take =
    (expectsContinue: boolean) =>
    (request: IncomingMessage, response: ServerResponse): void =>
      enqueue(request, (site) => relay(http1Exchange(request, response, { expectsContinue }), site));
  server.on('request', take(false));
  server.on('checkContinue', take(true));
  server.on('checkExpectation', (request, response) =>
    enqueue(request, (site) => refused(http1Exchange(request, response, { expectsContinue: true }), site, 'expectation-unknown')),
  );
  server.on('upgrade', (request, socket, head) => enqueue(request, (site) => relayUpgrade({ request, socket, head }, site)));
  server.on('connect', (request, socket) =>
    enqueue(request, (site) => refused(detachedExchange(request, socket), site, 'target-not-allowed')),
  );
  server.on('clientError', (error, socket) => refuseUnreadable(error, socket, connections.get(socket)));
  return {
    serve(socket, site) {
      const connection: Connection = { site, last: Promise.resolve(), waiting: 0, settledBytes: 0 };
      connections.set(socket, connection);
      watch(socket, connection);
      server.emit('connection', socket);
    },
  };
}

/** Closes a connection on which a request was begun and not finished in time, or nothing has moved for very long. */
function watch(socket: Socket, connection: Connection): void {
  const { limits, clock } = connection.site.live;
  let begunMs: number | undefined;
  let moved = { bytes: 0, atMs: clock.monotonicMs() };
  const timer = setInterval(
    () => {
      const now = clock.monotonicMs();
      const isBegun = connection.waiting === 0 && socket.bytesRead > connection.settledBytes;
      begunMs = isBegun ? (begunMs ?? now) : undefined;
      const bytes = socket.bytesRead + socket.bytesWritten;
      moved = bytes === moved.bytes ? moved : { bytes, atMs: now };
      if ((begunMs !== undefined && now - begunMs >= limits.headMs) || now - moved.atMs >= limits.idleMs) {
        endWith(socket, 408);
      }
    },
    Math.max(50, limits.headMs / 6),
  );
  socket.once('close', () => clearInterval(timer));
}

async function refused(exchange: Exchange, site: Site, reason: RefusalReason): Promise<void> {
  site.onExchange();
  await answerRefusal(exchange, site, refuse(reason, 'this kind of request is not carried out here')).catch(() => exchange.cut());
}

function refuseUnreadable(error: Error, socket: Duplex, connection: Connection | undefined): void {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (connection === undefined || code === 'ECONNRESET' || code === 'EPIPE') {
    socket.destroy();
    return;
  }
  const { site } = connection;
  const reason = code === 'HPE_HEADER_OVERFLOW' ? 'headers-too-large' : 'malformed-request';
  site.onExchange();
  site.live.counts.denied += 1;
  void site.live.recorder.deny({ subject: `${site.host}:${site.port}`, detail: { fault: code.slice(0, 64) } }, { reason });
  endWith(socket, statusOf(reason));
}

function endWith(socket: Duplex, status: number): void {
  if (socket.writable) {
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
  // A caller that goes on sending does not keep the connection.
  setTimeout(() => socket.destroy(), 500).unref();
}
