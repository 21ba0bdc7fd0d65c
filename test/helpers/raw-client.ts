import { connect, type Socket } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';

/** Clients that send exactly the bytes they are told to, and report all that comes back until the end. */
export interface RawAnswer {
  readonly text: string;
  /** how it ended */
  readonly end: 'end' | 'reset' | 'timeout';
}

export function rawConnect(port: number): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  socket.once('connect', () => resolve(socket));
  // A reset may come before anybody listens for it: `talk` sees it by the state of the socket.
  socket.on('error', () => resolve(socket));
  return promise;
}

export interface RawTlsOptions {
  readonly ca: string;
  readonly serverName?: string;
  readonly alpn?: string[];
}

export function tlsTo(port: number, host: string, { ca, serverName = host, alpn }: RawTlsOptions): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = tlsConnect({
    host: '127.0.0.1',
    port,
    ca,
    checkServerIdentity: () => undefined,
    ...(serverName === '' ? {} : { servername: serverName }),
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
  });
  socket.once('secureConnect', () => resolve(socket));
  socket.on('error', reject);
  socket.once('close', () => reject(new Error('closed in the handshake')));
  return promise;
}

/** A busy machine may take so long to begin an answer. */
const patienceMs = 10_000;
/** and be silent for so long in the middle of one */
const usualQuietMs = 700;

/** Time is counted in these, each of which ends when all that has come was read: a process that is held up has heard no silence. */
const stepMs = 10;

/** Writes the pieces and reads on until the other side ends, or nothing has come for `quietMs`; by default the first byte has longer. */
export async function talk(
  socket: Socket,
  pieces: readonly (string | Buffer)[],
  options: { readonly quietMs?: number } = {},
): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer['end']>();
  const parts: Buffer[] = [];
  if (socket.destroyed) {
    return { text: '', end: 'reset' };
  }
  let silentMs = 0;
  const clock = setInterval(() => {
    silentMs += stepMs;
    if (silentMs >= (options.quietMs ?? (parts.length === 0 ? patienceMs : usualQuietMs))) {
      resolve('timeout');
    }
  }, stepMs);
  socket.on('data', (piece: Buffer) => {
    parts.push(piece);
    silentMs = 0;
  });
  socket.once('end', () => resolve('end'));
  socket.once('error', () => resolve('reset'));
  socket.once('close', () => resolve(parts.length === 0 ? 'reset' : 'end'));
  for (const piece of pieces) {
    if (!socket.destroyed) {
      socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
    }
  }
  const end = await promise;
  clearInterval(clock);
  socket.destroy();
  return { text: Buffer.concat(parts).toString('latin1'), end };
}

export function answersIn(text: string): number {
  return text.split('HTTP/1.1 ').length - 1;
}
