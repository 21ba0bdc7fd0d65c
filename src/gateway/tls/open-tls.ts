import type { Socket } from 'node:net';
import { TLSSocket, type SecureContext } from 'node:tls';

/**
 * Terminates TLS towards a caller, with a certificate of the sandbox's own authority. It does not use a `node:tls` server: one
 * for each connection would cost half a millisecond and 50 KiB for a context that is never used.
 */
export interface OpenTlsOptions {
  readonly context: SecureContext;
  readonly handshakeMs: number;
}

/** The open connection; `undefined` when the handshake failed. */
export function openTls(socket: Socket, { context, handshakeMs }: OpenTlsOptions): Promise<TLSSocket | undefined> {
  const { promise, resolve } = Promise.withResolvers<TLSSocket | undefined>();
  const secure = new TLSSocket(socket, { isServer: true, secureContext: context, ALPNProtocols: ['h2', 'http/1.1'] });
  const fail = (): void => {
    clearTimeout(timer);
    secure.destroy();
    socket.destroy();
    resolve(undefined);
  };
  const timer = setTimeout(fail, handshakeMs);
  // What a server of `node:tls` listens to itself: the handshake's end, and faults of the protocol before and after it.
  secure.once('secure', () => {
    clearTimeout(timer);
    secure.off('readable', fail);
    socket.off('end', fail);
    // HTTP/2 waits for as long as this says that the handshake is under way; nothing but such a server would end it.
    Object.assign(secure, { secureConnecting: false });
    resolve(secure);
  });
  // Before that there is nothing to be read but the end of the caller's side, which nobody else would hear of. It may have come
  // before this began.
  secure.once('readable', fail);
  socket.once('end', fail);
  secure.on('_tlsError', fail);
  // Stays for the whole life of the socket: an error without a listener would end the process.
  secure.on('error', fail);
  secure.once('close', fail);
  socket.once('close', fail);
  return promise;
}
