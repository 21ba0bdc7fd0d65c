import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { brokenRequest, faulty, outdated, type Attempt } from '../fault.ts';
import { fieldsOf, flat, pairs, type Field } from '../http/fields.ts';
import { pump } from '../bodies/pump.ts';
import { informationLimit } from '../limits.ts';
import type { UpgradeAnswer, Upstream, UpstreamAnswer, UpstreamOptions, UpstreamRequest } from './upstream.ts';

/**
 * Requests over HTTP/1.1 with kept-alive connections. A connection is dialled, checked and, for TLS, verified before
 * anything is written to it. Only a request that has no content and changes nothing is sent a second time, when a
 * kept-alive connection turns out to be dead.
 */
export interface Http1Upstream extends Upstream {
  /** Takes a connection that was opened for HTTP/2 and turned out to speak HTTP/1.1. */
  readonly adopt: (socket: Socket) => void;
}

/** How long an unused connection is kept: less than common servers do, so that it is seldom closed under a request. */
const idleConnectionMs = 4000;
const repeatable = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createHttp1Upstream(options: UpstreamOptions): Http1Upstream {
  const agent = new ReadyAgent();
  const route = createRoute(options);
  const start = async (request: UpstreamRequest): Promise<Attempt<ClientRequest>> => {
    if (!agent.hasConnection()) {
      const dialled = await route.connect(request.signal);
      if (!dialled.ok) {
        return dialled;
      }
      agent.ready.push(dialled.value);
    }
    if (request.isCurrent?.() === false) {
      return outdated();
    }
    return { ok: true, value: open(route.addressed(request), agent, options.limits.headerBytes) };
  };
  const request = async (asked: UpstreamRequest): Promise<Attempt<UpstreamAnswer>> => {
    const started = await start(asked);
    if (!started.ok) {
      return started;
    }
    const answer = await answerOf(started.value, asked, options.limits.answerMs);
    const isRepeated =
      !answer.ok &&
      answer.fault.reason === 'unreachable' &&
      started.value.reusedSocket &&
      repeatable.has(asked.method) &&
      asked.body === undefined &&
      !asked.signal.aborted;
    return isRepeated ? request(asked) : answer;
  };
  return {
    request,
    async upgrade(asked) {
      const started = await start(asked);
      return started.ok ? upgradeOf(started.value, asked, options.limits.answerMs) : started;
    },
    // Unused connections close by themselves after a few seconds.
    retire: () => undefined,
    adopt: (socket) => void agent.ready.push(socket),
    close() {
      agent.destroy();
      for (const socket of agent.ready.splice(0)) {
        socket.destroy();
      }
    },
  };
}

interface Route {
  readonly connect: (signal: AbortSignal) => Promise<Attempt<Socket>>;
  /** the request as the next server on the way wants it written */
  readonly addressed: (request: UpstreamRequest) => UpstreamRequest;
}

function createRoute({ secure, dialer, destination }: UpstreamOptions): Route {
  let proxy: { readonly authorization: string | undefined } | undefined;
  return {
    async connect(signal) {
      if (secure) {
        return dialer.tls(destination, ['http/1.1'], signal);
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

/** Hands out connections that were opened beforehand; all of them lead to the same place. */
class ReadyAgent extends Agent {
  readonly ready: Socket[] = [];

  constructor() {
    super({ keepAlive: true, timeout: idleConnectionMs, scheduling: 'lifo', maxFreeSockets: 32 });
  }

  override getName(): string {
    return 'upstream';
  }

  override createConnection(): Socket {
    const socket = this.ready.pop();
    if (socket === undefined) {
      throw new Error('no connection was opened for this request');
    }
    return socket;
  }

  /** Forgets connections that have ended meanwhile. */
  hasConnection(): boolean {
    this.ready.splice(0, this.ready.length, ...this.ready.filter(isAlive));
    return this.ready.length > 0 || (this.freeSockets['upstream'] ?? []).some(isAlive);
  }
}

function isAlive(socket: Socket): boolean {
  return !socket.destroyed && socket.writable && !socket.readableEnded;
}

function open({ method, target, authority, fields, body }: UpstreamRequest, agent: Agent, maxHeaderSize: number): ClientRequest {
  const names = new Set(fields.map(([name]) => name));
  const framing: Field[] = [];
  if (body !== undefined && !names.has('content-length')) {
    framing.push(['transfer-encoding', 'chunked']);
  }
  if (body === undefined && !names.has('content-length') && !repeatable.has(method)) {
    framing.push(['content-length', '0']);
  }
  const headers = flat([['host', authority], ...fields, ...framing]);
  return httpRequest({
    agent,
    method,
    path: target,
    headers,
    maxHeaderSize,
    insecureHTTPParser: false,
    setDefaultHeaders: false,
  });
}

interface Outcome {
  readonly answer: (message: IncomingMessage) => void;
  /** `first`: what came in one piece with the switch, and is of the new protocol */
  readonly switched?: (message: IncomingMessage, socket: Socket, first: Buffer) => void;
}

/** Sends the body and waits for whatever comes first: an answer, a switch of protocols, a fault. */
function exchange<T>(
  request: ClientRequest,
  asked: UpstreamRequest,
  options: { readonly answerMs: number; readonly on: (settle: (attempt: Attempt<T>) => void) => Outcome },
): Promise<Attempt<T>> {
  const { promise, resolve } = Promise.withResolvers<Attempt<T>>();
  const abort = (): void => void request.destroy();
  const timer = setTimeout(() => {
    resolve(faulty('slow', `${asked.authority} gave no answer within ${options.answerMs} ms`));
    request.destroy();
  }, options.answerMs);
  const settle = (attempt: Attempt<T>): void => {
    clearTimeout(timer);
    resolve(attempt);
  };
  const { answer, switched } = options.on(settle);
  asked.signal.addEventListener('abort', abort, { once: true });
  if (asked.signal.aborted) {
    abort();
  }
  request.once('response', answer);
  limitInformation(request, () => {
    settle(faulty('bad-answer', `${asked.authority} announces its answer again and again`));
    request.destroy();
  });
  if (switched !== undefined) {
    request.once('upgrade', switched);
  }
  request.on('error', (error: Error) => {
    settle(
      faulty(
        isParserError(error) ? 'bad-answer' : 'unreachable',
        isParserError(error)
          ? `${asked.authority} answered with something that is not HTTP`
          : `${asked.authority} closed the connection without an answer`,
      ),
    );
  });
  request.once('close', () => {
    asked.signal.removeEventListener('abort', abort);
    settle(closedEarly(asked));
  });
  if (asked.body === undefined) {
    request.end();
  } else {
    const { stream, options: pumping, trailers } = asked.body;
    const beforeEnd = (): void => request.addTrailers(pairs(trailers()));
    pump(stream, request, { ...pumping, beforeEnd }).catch(() => {
      if (!request.writableFinished) {
        settle(request.destroyed ? closedEarly(asked) : brokenRequest);
        request.destroy();
      }
    });
  }
  return promise;
}

/** Answers before the answer (RFC 9110 section 15.2) are few; one that sends them without end keeps a request for ever. */
function limitInformation(request: ClientRequest, stop: () => void): void {
  let left = informationLimit;
  request.on('information', () => {
    left -= 1;
    if (left < 0) {
      stop();
    }
  });
}

function closedEarly({ authority }: UpstreamRequest): Attempt<never> {
  return faulty('unreachable', `${authority} closed the connection without an answer`);
}

function answerOf(request: ClientRequest, asked: UpstreamRequest, answerMs: number): Promise<Attempt<UpstreamAnswer>> {
  return exchange(request, asked, {
    answerMs,
    on: (settle) => ({ answer: (message) => settle(answerIn(message, asked)) }),
  });
}

function upgradeOf(request: ClientRequest, asked: UpstreamRequest, answerMs: number): Promise<Attempt<UpgradeAnswer>> {
  return exchange<UpgradeAnswer>(request, asked, {
    answerMs,
    on: (settle) => ({
      answer(message) {
        const answer = answerIn(message, asked);
        settle(answer.ok ? { ok: true, value: { kind: 'answered', answer: answer.value } } : answer);
      },
      switched(message, socket, first) {
        socket.unshift(first);
        settle({ ok: true, value: { kind: 'switched', fields: fieldsOf(message.rawHeaders), socket } });
      },
    }),
  });
}

function answerIn(message: IncomingMessage, { authority }: UpstreamRequest): Attempt<UpstreamAnswer> {
  // A switch that names no protocol: for this side an answer without content, for the other the end of HTTP.
  if (message.statusCode === 101) {
    message.destroy();
    return faulty('bad-answer', `${authority} switched protocols without saying to which`);
  }
  return { ok: true, value: read(message) };
}

function read(message: IncomingMessage): UpstreamAnswer {
  return {
    status: message.statusCode ?? 502,
    fields: fieldsOf(message.rawHeaders),
    body: message,
    trailers: () => fieldsOf(message.rawTrailers),
    isWhole: () => message.complete,
  };
}

function isParserError(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('HPE_');
}
