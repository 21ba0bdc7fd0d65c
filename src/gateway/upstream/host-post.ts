import { Readable } from 'node:stream';

import { parseHost } from '../../base/host.ts';
import { UnsentError, type TokenPost } from '../../credentials/login/token-request.ts';
import { createDialer, type Dialer } from './dialer.ts';
import { dialOnHost, resolveOnHost } from './dial.ts';
import type { Destination } from './destination.ts';
import { defaultLimits, type GatewayLimits } from '../limits.ts';
import type { UpstreamProxy } from './proxy-settings.ts';
import { createUpstream } from './upstream.ts';

/** Requests of the host itself to an authorization server: by the gateway's own dialling, trust and proxy. */
export interface HostPostOptions {
  readonly upstreamProxy: UpstreamProxy | undefined;
  readonly trustStorePem: string | undefined;
}

const maxAnswerBytes = 256 * 1024;

export function createHostPost({ upstreamProxy, trustStorePem }: HostPostOptions): TokenPost {
  const limits = defaultLimits;
  const dialer = createDialer({
    resolve: resolveOnHost,
    dial: dialOnHost,
    proxy: upstreamProxy,
    trustStorePem,
    dialMs: limits.dialMs,
    handshakeMs: limits.handshakeMs,
  });
  return (request) => post(request, dialer, limits);
}

async function post(request: Parameters<TokenPost>[0], dialer: Dialer, limits: GatewayLimits): ReturnType<TokenPost> {
  const url = new URL(request.url);
  const { secure, destination } = routeOf(url);
  const signal = AbortSignal.timeout(request.timeoutMs);
  // Dialled before anything is written: a host that is not there has not been asked.
  const tried = await dialer.tcp(destination, signal);
  if (!tried.ok) {
    throw new UnsentError(tried.fault.message);
  }
  tried.value.destroy();
  const upstream = createUpstream({ destination, secure, dialer, limits });
  const content = Buffer.from(request.body);
  try {
    const answer = await upstream.request({
      method: 'POST',
      target: `${url.pathname}${url.search}`,
      authority: url.host,
      fields: [
        ['content-type', request.contentType],
        ['content-length', String(content.length)],
        ['accept', 'application/json'],
        ['accept-encoding', 'identity'],
        ['user-agent', 'casemate'],
      ],
      body: {
        stream: Readable.from([content], { objectMode: false }),
        options: { step: undefined, isWhole: () => true, onBytes: () => undefined },
        trailers: () => [],
      },
      signal,
      prefersHttp2: false,
      takesTrailers: false,
    });
    if (!answer.ok) {
      throw new Error(answer.fault.message);
    }
    return { status: answer.value.status, body: await textOf(answer.value.body) };
  } finally {
    upstream.close();
  }
}

/** Plain HTTP only to this host itself, where a stand-in may be. Throws `UnsentError`. */
function routeOf(url: URL): { readonly secure: boolean; readonly destination: Destination } {
  const isLoopback = url.hostname === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(url.hostname);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    throw new UnsentError('an authorization server is asked over TLS only');
  }
  const secure = url.protocol === 'https:';
  return isLoopback
    ? {
        secure,
        destination: {
          host: parseHost('authorization.invalid'),
          port,
          override: { tls: secure, host: url.hostname, port, isLoopback },
        },
      }
    : { secure, destination: { host: parseHost(url.hostname), port, override: undefined } };
}

async function textOf(body: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    const bytes = Buffer.from(piece);
    size += bytes.length;
    if (size > maxAnswerBytes) {
      throw new Error('the answer is too long');
    }
    pieces.push(bytes);
  }
  return Buffer.concat(pieces).toString('utf8');
}
