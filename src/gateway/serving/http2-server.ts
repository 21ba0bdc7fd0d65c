import { createStop } from '../../base/stop.ts';
import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';

import { joinSmall } from '../bodies/join-small.ts';
import type { Exchange } from '../exchange.ts';
import { fieldsOf, tokensOf, valuesOf, type Field } from '../http/fields.ts';
import type { Site } from '../live-sandbox.ts';
import { headRefusal } from '../exchange/head-refusal.ts';
import { relay } from '../exchange/relay.ts';
import { headersOf } from '../upstream/upstream-http2.ts';

/** Serves HTTP/2 to callers. Every stream is its own exchange and is judged by itself. */
export function serveHttp2(socket: Socket, site: Site): void {
  const { limits } = site.live;
  // The listener of the sandbox lets each direction end by itself; here the caller's end is the end of all its streams.
  socket.allowHalfOpen = false;
  const session = performServerHandshake(socket, {
    maxHeaderListPairs: 512,
    maxSessionMemory: 16,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    unknownProtocolTimeout: limits.headMs,
    settings: {
      maxConcurrentStreams: 100,
      initialWindowSize: callerWindowBytes,
      maxHeaderListSize: limits.headerBytes,
      enableConnectProtocol: false,
    },
  });
  session.setLocalWindowSize(2 * callerWindowBytes);
  session.on('error', () => undefined);
  // A session that was ended for a fault leaves a socket that nobody reads, and that no end of the caller's would close.
  session.once('close', () => void setTimeout(() => socket.destroy(), 500).unref());
  const countReset = resetCounter(session);
  session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
    stream.on('error', () => undefined);
    // Reset in the same breath as it was opened: nothing of it is carried out, and nothing can be answered.
    if (stream.closed || stream.destroyed || stream.aborted) {
      countReset();
      return;
    }
    stream.once('aborted', countReset);
    joinSmall(stream);
    if (isTooLarge(raw, limits.headerBytes)) {
      refuseHead(stream, site);
      return;
    }
    if (site.failed !== undefined) {
      // Its first streams are answered; the next ones need a new connection.
      session.close();
    }
    void relay(http2Exchange({ stream, headers, flags, raw }), site);
  });
}

/** On record as over HTTP/1.1, where it is no request either. */
function refuseHead(stream: ServerHttp2Stream, { live, host, port, onExchange }: Site): void {
  const { status, fields, body } = headRefusal('headers-too-large');
  onExchange();
  live.counts.denied += 1;
  void live.recorder.deny({ subject: `${host}:${port}`, detail: {} }, { reason: 'headers-too-large' });
  stream.respond({ ':status': status, ...headersOf(fields) });
  stream.end(body);
}

/** Callers are on the same machine: a small window serves them as well, and bounds what is held when nobody reads on. */
const callerWindowBytes = 256 * 1024;

interface Incoming {
  readonly stream: ServerHttp2Stream;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly flags: number;
  readonly raw: string[];
}

function http2Exchange({ stream, headers, flags, raw }: Incoming): Exchange {
  const fields = fieldsOf(raw);
  const authority = headers[':authority'];
  const gone = createStop();
  stream.once('aborted', () => gone.abort());
  stream.once('close', () => {
    if (!stream.writableFinished) {
      gone.abort();
    }
  });
  const hasContent = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
  let before: readonly Field[] = [];
  let behind: readonly Field[] = [];
  stream.once('trailers', (_headers: IncomingHttpHeaders, _flags: number, rawTrailers: string[]) => {
    before = fieldsOf(rawTrailers);
  });
  const takesTrailers = tokensOf(fields, 'te').includes('trailers');
  stream.once('wantTrailers', () => stream.sendTrailers(headersOf(behind)));
  return {
    version: '2',
    method: String(headers[':method'] ?? ''),
    target: String(headers[':path'] ?? ''),
    authorities: [...(authority === undefined ? [] : [String(authority)]), ...valuesOf(fields, 'host')],
    fields,
    body: hasContent ? stream : undefined,
    isWhole: () => stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted,
    trailers: () => before,
    expectsContinue: tokensOf(fields, 'expect').includes('100-continue'),
    signal: gone.signal,
    sendContinue: () => stream.additionalHeaders({ ':status': 100 }),
    respond(status, answer) {
      const { connection: _, ...head } = headersOf(answer);
      // To wait for them is one more frame, and one more turn, in each answer.
      stream.respond({ ...head, ':status': status }, { waitForTrailers: takesTrailers || isGrpc(answer) });
      stream.once('finish', () => endReading(stream));
      return stream;
    },
    sendTrailers: (stated) => void (behind = stated),
    hasResponded: () => stream.headersSent || stream.destroyed,
    // Not `close`: that ends the content properly first, and a short answer would look complete.
    cut: () => void stream.destroy(new Error('the exchange was broken off')),
  };
}

function isGrpc(answer: readonly Field[]): boolean {
  return valuesOf(answer, 'content-type').some((value) => value.startsWith('application/grpc'));
}

/** All of the answer is written: an end of whatever the caller is still sending (RFC 9113 section 8.1). */
function endReading(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.readableEnded && !stream.destroyed) {
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  });
}

function isTooLarge(raw: readonly string[], limit: number): boolean {
  return raw.reduce((sum, text) => sum + text.length + 16, 0) > limit;
}

/** A caller that opens streams and resets them at once makes work without limit (CVE-2023-44487). */
function resetCounter(session: ServerHttp2Session): () => void {
  let resets = 0;
  const forget = setInterval(() => {
    resets = 0;
  }, 10_000);
  session.once('close', () => clearInterval(forget));
  return () => {
    resets += 1;
    if (resets > 200) {
      session.destroy();
    }
  };
}
