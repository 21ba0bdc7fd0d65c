import { Readable } from 'node:stream';

import { gathered } from '../../base/gather.ts';
import { parseHost } from '../../base/host.ts';
import type { HostReply, HostRequest, SendOnHost } from '../../credentials/host-request.ts';
import { UnsentError, type TokenPost } from '../../credentials/login/token-request.ts';
import { createDialer, type Dialer } from './dialer.ts';
import { dialOnHost, resolveOnHost } from './dial.ts';
import type { Destination } from './destination.ts';
import { defaultLimits, type GatewayLimits } from '../limits.ts';
import type { UpstreamProxy } from './proxy-settings.ts';
import { createUpstream } from './upstream.ts';

/** Requests that the host itself makes, to authorization servers and for keys, with the gateway's dialling, trust and proxy. */
export interface HostSendOptions {
  readonly upstreamProxy: UpstreamProxy | undefined;
  readonly trustStorePem: string | undefined;
}

const maxAnswerBytes = 256 * 1024;

export function createHostSend({ upstreamProxy, trustStorePem }: HostSendOptions): SendOnHost {
  const limits = defaultLimits;
  const dialer = createDialer({
    resolve: resolveOnHost,
    dial: dialOnHost,
    proxy: upstreamProxy,
    trustStorePem,
    dialMs: limits.dialMs,
    handshakeMs: limits.handshakeMs,
    // A human configured who is asked here, and it may be a server of their own network.
    isAddressAllowed: () => true,
  });
  return (request) => send(request, dialer, limits);
}

export function hostPost(carry: SendOnHost): TokenPost {
  return ({ url, contentType, body, timeoutMs }) =>
    carry({ url, method: 'POST', fields: [['content-type', contentType]], body, timeoutMs });
}

async function send(request: HostRequest, dialer: Dialer, limits: GatewayLimits): Promise<HostReply> {
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
  try {
    const answer = await upstream.request({
      method: request.method,
      target: `${url.pathname}${url.search}`,
      authority: url.host,
      fields: fieldsOf(request),
      body: contentOf(request),
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

/** What is signed stays as it is signed: a name that the caller gives is not given twice. */
function fieldsOf({ fields, body, method }: HostRequest): HostRequest['fields'] {
  const named = new Set(fields.map(([name]) => name.toLowerCase()));
  const own = [
    ...(body === undefined && method === 'GET' ? [] : [['content-length', String(Buffer.byteLength(body ?? ''))] as const]),
    ['accept', 'application/json'] as const,
    ['accept-encoding', 'identity'] as const,
    ['user-agent', 'casemate'] as const,
  ];
  const kept = fields.filter(([name]) => name.toLowerCase() !== 'host' && name.toLowerCase() !== 'content-length');
  return [...kept, ...own.filter(([name]) => name === 'content-length' || !named.has(name))];
}

function contentOf({ body }: HostRequest) {
  const pieces = body === undefined ? [] : [Buffer.from(body)];
  return {
    stream: Readable.from(pieces, { objectMode: false }),
    options: { step: undefined, isWhole: () => true, onBytes: () => undefined },
    trailers: () => [],
  };
}

/** Plain HTTP only to this host itself, where a stand-in may be. Throws `UnsentError`. */
function routeOf(url: URL): { readonly secure: boolean; readonly destination: Destination } {
  const isLoopback = url.hostname === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(url.hostname);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    throw new UnsentError('servers are asked over TLS only');
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
  const whole = await gathered(body, maxAnswerBytes);
  if (whole === undefined) {
    throw new Error('the answer is too long');
  }
  return whole.toString('utf8');
}
