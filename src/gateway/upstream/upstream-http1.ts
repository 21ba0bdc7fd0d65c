import type { StopSignal } from '../../base/stop.ts';
import type { Socket } from 'node:net';

import { brokenRequest, faulty, outdated, type Attempt } from '../fault.ts';
import { pump } from '../bodies/pump.ts';
import { valuesOf, type Field } from '../http/fields.ts';
import type { WrittenRequest } from '../http/request-text.ts';
import { createConnectionPool, type ConnectionPool } from './connection-pool.ts';
import type { Http1Connection, Waiting } from './http1-connection.ts';
import type { UpgradeAnswer, Upstream, UpstreamAnswer, UpstreamOptions, UpstreamRequest } from './upstream-request.ts';

/**
 * Requests over HTTP/1.1 with kept-alive connections. A connection is dialled, checked and, for TLS, verified before anything is
 * written to it. If a kept-alive connection turns out to be dead, a request is sent again only if it has no content and changes
 * nothing.
 */
export interface Http1Upstream extends Upstream {
  /** Takes a connection that was opened for HTTP/2 and turned out to speak HTTP/1.1. */
  readonly adopt: (socket: Socket) => void;
}

const repeatable = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createHttp1Upstream(options: UpstreamOptions): Http1Upstream {
  const pool = createConnectionPool(options.limits.headerBytes);
  const route = createRoute(options);
  const connectionFor = async (request: UpstreamRequest): Promise<Attempt<Http1Connection>> => {
    let connection = pool.take();
    if (connection === undefined) {
      const dialled = await route.connect(request.signal);
      if (!dialled.ok) {
        return dialled;
      }
      connection = pool.add(dialled.value);
    }
    if (request.isCurrent?.() === false) {
      pool.giveBack(connection);
      return outdated();
    }
    return { ok: true, value: connection };
  };
  const ask = async (asked: UpstreamRequest, mayUpgrade: boolean): Promise<Attempt<UpgradeAnswer>> => {
    const found = await connectionFor(asked);
    if (!found.ok) {
      return found;
    }
    const written = writtenBy(route.addressed(asked));
    const answer = await carry({ connection: found.value, asked, written, mayUpgrade, pool }, options.limits.answerMs);
    const isRepeated =
      !mayUpgrade &&
      !answer.ok &&
      answer.fault.reason === 'unreachable' &&
      found.value.isReused &&
      repeatable.has(asked.method) &&
      asked.body === undefined &&
      !asked.signal.aborted;
    return isRepeated ? ask(asked, mayUpgrade) : answer;
  };
  return {
    async request(asked): Promise<Attempt<UpstreamAnswer>> {
      const answer = await ask(asked, false);
      if (!answer.ok) {
        return answer;
      }
      return answer.value.kind === 'answered' ? { ok: true, value: answer.value.answer } : switchedUnasked(asked);
    },
    upgrade: (asked) => ask(asked, true),
    // Unused connections close by themselves after a few seconds.
    retire: () => undefined,
    adopt: (socket) => pool.giveBack(pool.add(socket)),
    close: pool.close,
  };
}

interface Route {
  readonly connect: (signal: StopSignal) => Promise<Attempt<Socket>>;
  /** the request as the next server on the way wants it written */
  readonly addressed: (request: UpstreamRequest) => UpstreamRequest;
}

function createRoute({ secure, dialer, destination, sessions }: UpstreamOptions): Route {
  let proxy: { readonly authorization: string | undefined } | undefined;
  return {
    async connect(signal) {
      if (secure) {
        return dialer.tls(destination, { alpn: ['http/1.1'], signal, sessions });
      }
      const dialled = await dialer.plainHttp(destination, signal);
      proxy = dialled.ok ? dialled.value.proxy : undefined;
      return dialled.ok ? { ok: true, value: dialled.value.socket } : dialled;
    },
    addressed(request) {
      if (proxy === undefined) {
        return request;
      }
      // A proxy of plain HTTP gets the absolute form (RFC 9112 section 3.2.2).
      const own: readonly Field[] = proxy.authorization === undefined ? [] : [['proxy-authorization', proxy.authorization]];
      return { ...request, target: `http://${request.authority}${request.target}`, fields: [...request.fields, ...own] };
    },
  };
}

/** Says of what is sent how it ends. Throws where that is stated in more than one way. */
function writtenBy({ method, target, authority, fields, body }: UpstreamRequest): WrittenRequest {
  const lengths = valuesOf(fields, 'content-length');
  const [length] = lengths;
  if (lengths.length > 1 || (length !== undefined && !/^[0-9]{1,15}$/.test(length))) {
    throw new Error('the length of the content has more than one meaning');
  }
  if (body === undefined && length !== undefined && Number(length) !== 0) {
    throw new Error('a length is stated of content that is not there');
  }
  const framing = body === undefined ? 'none' : length === undefined ? 'chunked' : { length: Number(length) };
  const written: Field[] = [['host', authority], ...fields];
  if (body === undefined && length === undefined && !repeatable.has(method)) {
    written.push(['content-length', '0']);
  }
  return { method, target, fields: written, framing };
}

interface Carried {
  readonly connection: Http1Connection;
  readonly asked: UpstreamRequest;
  readonly written: WrittenRequest;
  readonly mayUpgrade: boolean;
  readonly pool: ConnectionPool;
}

/** Sends the request and waits for whatever comes first: an answer, a switch of protocols, a fault. */
function carry({ connection, asked, written, mayUpgrade, pool }: Carried, answerMs: number): Promise<Attempt<UpgradeAnswer>> {
  const { promise, resolve } = Promise.withResolvers<Attempt<UpgradeAnswer>>();
  const { signal, authority } = asked;
  const abort = (): void => connection.destroy();
  const timer = setTimeout(() => {
    resolve(faulty('slow', `${authority} gave no answer within ${answerMs} ms`));
    connection.destroy();
  }, answerMs);
  const on: Waiting = {
    answered(answer) {
      clearTimeout(timer);
      resolve({ ok: true, value: answer });
    },
    failed(why) {
      clearTimeout(timer);
      resolve(faulty(why === 'closed' ? 'unreachable' : 'bad-answer', `${authority} ${said[why]}`));
    },
    settled() {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    },
  };
  if (signal.aborted || !connection.isFree) {
    clearTimeout(timer);
    pool.giveBack(connection);
    return Promise.resolve(faulty('unreachable', `${authority} ${said.closed}`));
  }
  signal.addEventListener('abort', abort, { once: true });
  let content: ReturnType<Http1Connection['send']>;
  try {
    content = connection.send({ ...written, mayUpgrade }, on);
  } catch (thrown) {
    on.settled();
    pool.giveBack(connection);
    throw thrown;
  }
  if (content !== undefined && asked.body !== undefined) {
    const target = content;
    const { stream, options, trailers } = asked.body;
    pump(stream, target, { ...options, beforeEnd: () => target.addTrailers(trailers()) }).catch(() => {
      if (!target.writableFinished) {
        resolve(target.destroyed ? faulty('unreachable', `${authority} ${said.closed}`) : brokenRequest);
        connection.destroy();
      }
    });
  }
  return promise;
}

const said = {
  closed: 'closed the connection without an answer',
  unreadable: 'answered with something that is not HTTP',
  talkative: 'announces its answer again and again',
  switched: 'switched protocols without saying to which',
} as const;

function switchedUnasked({ authority }: UpstreamRequest): Attempt<never> {
  return faulty('bad-answer', `${authority} ${said.switched}`);
}
