import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';

import type { Exchange } from './exchange.ts';
import { fieldsOf, tokensOf, valuesOf } from './fields.ts';
import type { Site } from './live-sandbox.ts';
import { relay } from './relay.ts';
import { append, windowBytes } from './upstream-http2.ts';

/** HTTP/2 with callers: every stream is an exchange of its own and is judged by itself. */
export function serveHttp2(socket: Socket, site: Site): void {
  const { limits } = site.live;
  const session = performServerHandshake(socket, {
    maxHeaderListPairs: 512,
    maxSessionMemory: 16,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    unknownProtocolTimeout: limits.headMs,
    settings: {
      maxConcurrentStreams: 100,
      initialWindowSize: windowBytes,
      maxHeaderListSize: limits.headerBytes,
      enableConnectProtocol: false,
    },
  });
  session.setLocalWindowSize(windowBytes);
  session.on('error', () => undefined);
  session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
    stream.on('error', () => undefined);
    if (isTooLarge(raw, limits.headerBytes)) {
      stream.respond({ ':status': 431 }, { endStream: true });
      return;
    }
    void relay(http2Exchange({ stream, headers, flags, raw }), site);
  });
  limitResets(session);
}

interface Incoming {
  readonly stream: ServerHttp2Stream;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly flags: number;
  readonly raw: string[];
}

function http2Exchange({ stream, headers, flags, raw }: Incoming): Exchange {
  const fields = fieldsOf(raw);
  const authority = headers[':authority'];
  const gone = new AbortController();
  stream.once('aborted', () => gone.abort());
  stream.once('close', () => {
    if (!stream.writableFinished) {
      gone.abort();
    }
  });
  const hasContent = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
  return {
    version: '2',
    method: String(headers[':method'] ?? ''),
    target: String(headers[':path'] ?? ''),
    authorities: [...(authority === undefined ? [] : [String(authority)]), ...valuesOf(fields, 'host')],
    fields,
    body: hasContent ? stream : undefined,
    isWhole: () => stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted,
    expectsContinue: tokensOf(fields, 'expect').includes('100-continue'),
    signal: gone.signal,
    sendContinue: () => stream.additionalHeaders({ ':status': 100 }),
    respond(status, answer) {
      const head: Record<string, string | string[]> = {};
      for (const field of answer) {
        append(head, field);
      }
      delete head['connection'];
      stream.respond({ ...head, ':status': status });
      // A caller that is still sending when its answer is complete is told to stop (RFC 9113 section 8.1).
      stream.once('finish', () => {
        if (!stream.readableEnded) {
          stream.close(constants.NGHTTP2_NO_ERROR);
        }
      });
      return stream;
    },
    hasResponded: () => stream.headersSent || stream.destroyed,
    // Not `close`: that ends the content properly first, and a short answer would look complete.
    cut: () => void stream.destroy(new Error('the exchange was broken off')),
  };
}

function isTooLarge(raw: readonly string[], limit: number): boolean {
  return raw.reduce((sum, text) => sum + text.length + 16, 0) > limit;
}

/** A caller that opens streams and resets them at once makes work without limit (CVE-2023-44487). */
function limitResets(session: ServerHttp2Session): void {
  let resets = 0;
  const forget = setInterval(() => {
    resets = 0;
  }, 10_000);
  session.on('stream', (stream) => {
    stream.once('aborted', () => {
      resets += 1;
      if (resets > 200) {
        session.destroy();
      }
    });
  });
  session.once('close', () => clearInterval(forget));
}
