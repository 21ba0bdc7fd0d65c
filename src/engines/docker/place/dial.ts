import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

import type { Spawn } from '../../../system/process.ts';
import type { Endpoint, TlsFiles } from './endpoint.ts';
import { sshStream } from './ssh-stream.ts';

/** Opens a connection to an engine, by whichever way leads there. A TLS peer is verified before this resolves. */

export interface DialOptions {
  /** whole environment of `ssh` */
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly spawn?: Spawn | undefined;
}

export type Dial = (endpoint: Endpoint, options: DialOptions) => Promise<Duplex>;

/** The end of what is sent is told, and what is answered still read. */
const halfOpen = { allowHalfOpen: true };

export async function dial(endpoint: Endpoint, options: DialOptions): Promise<Duplex> {
  const { signal } = options;
  signal?.throwIfAborted();
  if (endpoint.kind === 'ssh') {
    return sshStream(endpoint, options);
  }
  const isTls = endpoint.kind === 'tls';
  const socket = isTls
    ? connectTls({
        ...(await materialOf(endpoint.files)),
        ...identityOf(endpoint),
        minVersion: 'TLSv1.2' as const,
        // Whatever the environment says of it.
        rejectUnauthorized: true,
        ...halfOpen,
      })
    : connect({ path: endpoint.path, ...halfOpen });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => void socket.destroy(signal?.reason instanceof Error ? signal.reason : new Error('given up'));
  signal?.addEventListener('abort', abort, { once: true });
  socket.once(isTls ? 'secureConnect' : 'connect', () => resolve());
  socket.once('error', reject);
  try {
    await promise;
  } finally {
    signal?.removeEventListener('abort', abort);
    socket.off('error', reject);
  }
  return socket;
}

function identityOf({ host, port }: Extract<Endpoint, { kind: 'tls' }>) {
  // The name of an address is not sent (RFC 6066, 3), and compared all the same.
  return { host, port, ...(isIP(host) === 0 ? { servername: host } : {}) };
}

async function materialOf(files: TlsFiles): Promise<{ readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }> {
  const rows = Object.entries(files).flatMap(([name, path]) => (typeof path === 'string' ? [[name, path] as const] : []));
  return Object.fromEntries(await Promise.all(rows.map(async ([name, path]) => [name, await readFile(path)] as const)));
}
