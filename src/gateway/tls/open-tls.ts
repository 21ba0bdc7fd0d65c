import type { Socket } from 'node:net';
import { createServer, type SecureContext, type TLSSocket } from 'node:tls';

/**
 * Ends TLS towards a caller, with a certificate of the sandbox's own authority. A server for each connection: HTTP/2
 * needs a socket that a server of `node:tls` made, and so the connection keeps its own context.
 */
export interface OpenTlsOptions {
  readonly context: SecureContext;
  readonly handshakeMs: number;
}

/** The open connection; `undefined` when the handshake failed. */
export function openTls(socket: Socket, { context, handshakeMs }: OpenTlsOptions): Promise<TLSSocket | undefined> {
  const { promise, resolve } = Promise.withResolvers<TLSSocket | undefined>();
  const server = createServer({
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: handshakeMs,
    SNICallback: (_name, found) => found(null, context),
  });
  server.once('secureConnection', (secure) => {
    secure.on('error', () => undefined);
    resolve(secure);
  });
  server.on('tlsClientError', () => {
    socket.destroy();
    resolve(undefined);
  });
  socket.once('close', () => resolve(undefined));
  server.emit('connection', socket);
  return promise;
}
