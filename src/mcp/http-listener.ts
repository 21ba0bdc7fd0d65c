import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { BlockList, isIP } from 'node:net';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { listening } from '../system/listening.ts';

/** Where MCP over HTTP listens, and for whom: this machine alone or, on request and with TLS, others as well. */
export interface ListenerOptions {
  readonly port: number;
  /** an address of this machine; default 127.0.0.1 */
  readonly address?: string | undefined;
  /** names that a `Host` may say beside those of loopback; with whatever port, for a relay may stand before */
  readonly hosts?: readonly string[] | undefined;
  /** PEM texts */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

export interface Listener {
  readonly port: number;
  /** for people: `http://127.0.0.1:7391/mcp` */
  readonly url: string;
  readonly close: () => Promise<void>;
}

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Throws `USAGE` for what would let others listen in, or leave pages of browsers a way in. */
export function requireListenable({ address = '127.0.0.1', hosts = [], tls }: ListenerOptions): void {
  const kind = isIP(address);
  if (kind === 0) {
    throw new CasemateError('USAGE', `--listen ${visible(address)} is not an address`, {
      hint: 'For example: --listen 192.0.2.7',
    });
  }
  if (loopback.check(address, kind === 4 ? 'ipv4' : 'ipv6')) {
    return;
  }
  if (tls === undefined) {
    throw new CasemateError('USAGE', `--listen ${address} is beyond this machine, and tokens would go there in clear`, {
      hint: 'Give --tls-cert FILE and --tls-key FILE, or reach it through a tunnel (ssh -L).',
    });
  }
  if (hosts.length === 0) {
    throw new CasemateError('USAGE', `--listen ${address} needs the names under which it is reached`, {
      hint: 'For example: --host casemate.example.com. Requests that name another host are refused.',
    });
  }
}

export async function listenHttp(options: ListenerOptions, answer: RequestListener): Promise<Listener> {
  requireListenable(options);
  const { port, address = '127.0.0.1', tls } = options;
  const server = serverFor(tls, answer);
  server.headersTimeout = 10_000;
  // Of what is sent here; an answer may take as long as it takes.
  server.requestTimeout = 60_000;
  server.maxConnections = 512;
  await listening(server, { host: address, port }).catch((error: NodeJS.ErrnoException) => {
    throw new CasemateError('USAGE', `cannot listen on ${address}:${port} (${error.code ?? 'fault'})`);
  });
  const shown = isIP(address) === 6 ? `[${address}]` : address;
  return {
    port: portOf(server),
    url: `${tls === undefined ? 'http' : 'https'}://${shown}:${portOf(server)}/mcp`,
    async close() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

function serverFor(tls: ListenerOptions['tls'], answer: RequestListener): Server {
  if (tls === undefined) {
    return createServer(answer);
  }
  try {
    return createTlsServer({ ...tls, minVersion: 'TLSv1.2', handshakeTimeout: 10_000 }, answer);
  } catch (cause) {
    throw new CasemateError('USAGE', 'the certificate and the key of --tls-cert and --tls-key do not go together', {
      cause,
      hint: 'Both are PEM files; the certificate first, then those of its issuers.',
    });
  }
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Why a request is none for us: a page in a browser names another host, or an origin. `undefined`: it is. */
export function misdirected({ headers }: IncomingMessage, { port, hosts = [] }: ListenerOptions): string | undefined {
  const host = headers.host?.toLowerCase() ?? '';
  const own = loopbackNames.flatMap((name) => [`${name}:${port}`, ...(port === 443 ? [name] : [])]);
  // A page that has its own name lead here (DNS rebinding) cannot say one of these.
  const isDeclared = hosts.includes(host.replace(/:\d{1,5}$/, ''));
  if (!own.includes(host) && !isDeclared) {
    return 'this host name is not served';
  }
  return headers.origin === undefined ? undefined : 'pages of browsers are not served';
}
