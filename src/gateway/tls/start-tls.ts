import { isIP, type Socket } from 'node:net';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';

import { faulty, type Attempt } from '../fault.ts';
import type { TlsSessions } from './tls-sessions.ts';

/**
 * Starts TLS over one of our connections, towards an upstream. The certificate is always verified before anything is written.
 */
export interface TlsOptions {
  /** the name, or address, the certificate must be for */
  readonly serverName: string;
  readonly context: SecureContext;
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
  /** of this very upstream, for this very caller */
  readonly sessions?: TlsSessions | undefined;
}

export function startTls(socket: Socket, options: TlsOptions): Promise<Attempt<TLSSocket>> {
  const { serverName, context, alpn, timeoutMs, sessions } = options;
  const { promise, resolve } = Promise.withResolvers<Attempt<TLSSocket>>();
  const secure = connect({
    socket,
    secureContext: context,
    ALPNProtocols: [...alpn],
    rejectUnauthorized: true,
    // The identity is checked against `host`; an address has no server name extension (RFC 6066).
    host: serverName,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    session: sessions?.take(),
  });
  if (sessions !== undefined) {
    // Node tells of one only when the certificate was verified: a resumed one is not looked at again.
    secure.on('session', sessions.keep);
  }
  const fail = (attempt: Attempt<TLSSocket>): void => {
    clearTimeout(timer);
    secure.destroy();
    socket.destroy();
    resolve(attempt);
  };
  const timer = setTimeout(() => fail(faulty('slow', `${serverName} did not finish the TLS handshake`)), timeoutMs);
  secure.once('secureConnect', () => {
    clearTimeout(timer);
    resolve({ ok: true, value: secure });
  });
  // Stays for the whole life of the socket: an error without a listener would end the process.
  secure.on('error', (error: Error) => fail(faulty(reasonOf(error), `TLS to ${serverName} failed: ${codeOf(error)}`)));
  secure.once('close', () => fail(faulty('unreachable', `${serverName} closed the connection in the TLS handshake`)));
  return promise;
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : 'unknown fault';
}

function reasonOf(error: Error): 'certificate' | 'unreachable' {
  return /CERT|SIGNED|ISSUER|ALTNAME|CRL|CHAIN|VERIFY|PURPOSE|HOSTNAME/.test(codeOf(error)) ? 'certificate' : 'unreachable';
}
