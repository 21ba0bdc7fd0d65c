import type { StopSignal } from '../../base/stop.ts';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';

import { brokenRequest, faulty, type Attempt } from '../fault.ts';
import { fieldsOf, type Field } from '../http/fields.ts';
import { informationLimit } from '../limits.ts';
import { joinSmall } from '../bodies/join-small.ts';
import { pump } from '../bodies/pump.ts';
import type { RequestBody, UpstreamAnswer, UpstreamOptions, UpstreamRequest } from './upstream-request.ts';

/** Requests over one HTTP/2 session, to an upstream that offers it. Nothing is sent twice. */
export interface Http2Upstream {
  /** The live session or a new one; a plain connection where the upstream chose HTTP/1.1; `undefined` where it is known to. */
  readonly session: (signal: StopSignal) => Promise<Attempt<Offer> | undefined>;
  readonly retire: () => void;
  readonly close: () => void;
}

export type Offer =
  | { readonly kind: 'http1'; readonly socket: Socket }
  | { readonly kind: 'http2'; readonly request: (request: UpstreamRequest) => Promise<Attempt<UpstreamAnswer>> };

/** Larger than the default of 64 KiB, which would slow down every distant download. */
const streamWindowBytes = 4 * 1024 * 1024;
/** Of all streams together, so that one answer which nobody reads does not keep the others. */
const sessionWindowBytes = 4 * streamWindowBytes;

export function createHttp2Upstream({ destination, dialer, limits, sessions }: UpstreamOptions): Http2Upstream {
  let live: Session | undefined;
  let opening: Promise<Attempt<Offer>> | undefined;
  let speaksHttp1 = false;
  const offer = (session: Session): Attempt<Offer> => ({
    ok: true,
    value: { kind: 'http2', request: (request) => session.request(request, limits.answerMs) },
  });
  const open = async (): Promise<Attempt<Offer>> => {
    // Not the caller's signal: others may be waiting for the same session.
    const dialled = await dialer.tls(destination, {
      alpn: ['h2', 'http/1.1'],
      signal: AbortSignal.timeout(limits.dialMs + limits.handshakeMs),
      sessions,
    });
    if (!dialled.ok) {
      return dialled;
    }
    if (dialled.value.alpnProtocol !== 'h2') {
      speaksHttp1 = true;
      return { ok: true, value: { kind: 'http1', socket: dialled.value } };
    }
    live = startSession(dialled.value, destination.host, limits.upstreamIdleMs);
    return offer(live);
  };
  return {
    async session() {
      if (live?.isUsable() === true) {
        return offer(live);
      }
      if (speaksHttp1) {
        return undefined;
      }
      const isFirst = opening === undefined;
      opening ??= open().finally(() => (opening = undefined));
      const opened = await opening;
      // The plain connection is one request's; the others open their own.
      return opened.ok && opened.value.kind === 'http1' && !isFirst ? undefined : opened;
    },
    retire: () => live?.close(),
    close: () => live?.destroy(),
  };
}

interface Session {
  /** Whether it can take a request, as far as this side knows. */
  readonly isUsable: () => boolean;
  readonly request: (asked: UpstreamRequest, answerMs: number) => Promise<Attempt<UpstreamAnswer>>;
  /** Streams that are open end by themselves. */
  readonly close: () => void;
  readonly destroy: () => void;
}

function startSession(socket: Socket, host: string, idleMs: number): Session {
  const session = connect(`https://${host}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: streamWindowBytes },
  });
  session.on('error', () => undefined);
  session.once('connect', () => session.setLocalWindowSize(sessionWindowBytes));
  session.once('goaway', () => session.close());
  let open = 0;
  let lastMs = Date.now();
  // The time of day, which goes on while the host sleeps: a way that died meanwhile tells nobody, and would hold a request.
  const isIdle = (): boolean => open === 0 && Date.now() - lastMs >= idleMs;
  const timer = setInterval(() => (isIdle() ? session.close() : undefined), idleMs).unref();
  session.once('close', () => clearInterval(timer));
  return {
    isUsable: () => !session.closed && !session.destroyed && !isIdle(),
    request(asked, answerMs) {
      const ended = (): void => {
        open -= 1;
        lastMs = Date.now();
      };
      // Throws where nothing could be opened.
      const answer = send(session, asked, { answerMs, ended });
      open += 1;
      return answer;
    },
    close: () => session.close(),
    destroy: () => session.destroy(),
  };
}

interface Sending {
  readonly answerMs: number;
  /** called once, when its stream is closed */
  readonly ended: () => void;
}

function send(
  session: ClientHttp2Session,
  asked: UpstreamRequest,
  { answerMs, ended }: Sending,
): Promise<Attempt<UpstreamAnswer>> {
  const { promise, resolve } = Promise.withResolvers<Attempt<UpstreamAnswer>>();
  const hasContent = asked.body !== undefined;
  const stream = joinSmall(session.request(requestHeaders(asked), { endStream: !hasContent, waitForTrailers: hasContent }));
  let behind: readonly Field[] = [];
  stream.once('trailers', (_headers, _flags, raw: string[]) => void (behind = fieldsOf(raw)));
  const settle = (attempt: Attempt<UpstreamAnswer>): void => {
    clearTimeout(timer);
    resolve(attempt);
  };
  // Not `close`: that ends the content properly first, and half an upload would look complete.
  const abort = (): void => void stream.destroy(new Error('the exchange was broken off'));
  const timer = setTimeout(() => {
    settle(faulty('slow', `${asked.authority} gave no answer within ${answerMs} ms`));
    abort();
  }, answerMs);
  asked.signal.addEventListener('abort', abort, { once: true });
  if (asked.signal.aborted) {
    abort();
  }
  let announced = 0;
  stream.on('headers', () => {
    announced += 1;
    if (announced > informationLimit) {
      settle(faulty('bad-answer', `${asked.authority} announces its answer again and again`));
      abort();
    }
  });
  stream.once('response', (headers, _flags, raw) => {
    const status = Number(headers[':status']);
    settle({
      ok: true,
      value: {
        status,
        fields: fieldsOf(raw),
        body: stream,
        trailers: () => behind,
        isWhole: () => !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR,
      },
    });
  });
  stream.on('error', () => settle(faulty('unreachable', `${asked.authority} broke off the exchange`)));
  stream.once('close', () => {
    ended();
    asked.signal.removeEventListener('abort', abort);
    settle(faulty('unreachable', `${asked.authority} broke off the exchange`));
  });
  if (asked.body !== undefined) {
    sendContent(stream, asked.body, (isStreamGone) => {
      settle(isStreamGone ? faulty('unreachable', `${asked.authority} broke off the exchange`) : brokenRequest);
      abort();
    });
  }
  return promise;
}

/** `broken`: it did not come to its end, and nothing of the request counts. */
function sendContent(
  stream: ClientHttp2Stream,
  { stream: content, options, trailers }: RequestBody,
  broken: (isStreamGone: boolean) => void,
): void {
  let last: readonly Field[] = [];
  stream.once('wantTrailers', () => stream.sendTrailers(headersOf(last)));
  pump(content, stream, { ...options, beforeEnd: () => void (last = trailers()) }).catch(() => {
    if (!stream.writableFinished) {
      broken(stream.destroyed);
    }
  });
}

function requestHeaders({
  method,
  target,
  authority,
  fields,
  takesTrailers,
}: UpstreamRequest): Record<string, string | string[]> {
  const own = takesTrailers ? { te: 'trailers' } : {};
  return { ':method': method, ':path': target, ':scheme': 'https', ':authority': authority, ...headersOf(fields), ...own };
}

/** As Node takes them: a field that is there several times as a list. */
export function headersOf(fields: readonly Field[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of fields) {
    const present = headers[name];
    headers[name] = present === undefined ? value : [...(Array.isArray(present) ? present : [present]), value];
  }
  return headers;
}
