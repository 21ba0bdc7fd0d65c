import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

import { listening } from '../../system/listening.ts';

/**
 * Listens on every address of this host, over TCP and UDP, and on Unix sockets, and records what arrives. It decides whether a
 * sandbox has a route: what this did not hear did not get out.
 */
export interface Sink {
  readonly port: number;
  /** where it can be heard on this host */
  readonly addresses: readonly SinkAddress[];
  /** everything that arrived, in order */
  readonly heard: readonly Heard[];
  /** Listens on a Unix socket as well: a path, or `@name` for an abstract one. */
  readonly listenUnix: (path: string) => Promise<void>;
  /** Resolves when what was on its way has arrived. */
  readonly settle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface SinkAddress {
  readonly family: 4 | 6;
  readonly address: string;
}

export interface Heard {
  readonly over: 'tcp' | 'udp' | 'unix';
  readonly from: string;
  /** its first 256 bytes */
  readonly text: string;
}

const mostBytes = 256;
const mostRows = 10_000;

export async function startSink(): Promise<Sink> {
  const heard: Heard[] = [];
  const closing: (() => Promise<void>)[] = [];
  const { server, port, address } = await listenTcp(heard);
  closing.push(() => closeServer(server));
  const datagrams = await bindUdp(heard, { port, address });
  closing.push(() => new Promise((resolve) => datagrams.close(() => resolve())));
  return {
    port,
    addresses: ownAddresses(address === '::'),
    heard,
    async listenUnix(path) {
      const unix = createServer((socket) => take(socket, 'unix', heard));
      await listening(unix, { path: path.replace(/^@/, '\0') });
      closing.push(() => closeServer(unix));
    },
    settle: () => new Promise((resolve) => setTimeout(resolve, 150)),
    async close() {
      await Promise.all(closing.map((close) => close()));
    },
  };
}

/** IPv6 with IPv4 in it, or IPv4 alone where the host has no IPv6. */
async function listenTcp(heard: Heard[]): Promise<{ server: Server; port: number; address: '::' | '0.0.0.0' }> {
  for (const address of ['::', '0.0.0.0'] as const) {
    const server = createServer((socket) => take(socket, 'tcp', heard));
    try {
      // oxlint-disable-next-line no-await-in-loop -- the second only where the first cannot be
      await listening(server, { host: address, port: 0 });
      const bound = server.address();
      return { server, port: typeof bound === 'object' && bound !== null ? bound.port : 0, address };
    } catch (error) {
      if (address === '0.0.0.0') {
        throw error;
      }
    }
  }
  throw new Error('unreachable');
}

/** Who connects without a word is nobody of ours. */
function take(socket: Socket, over: Heard['over'], heard: Heard[]): void {
  const from = socket.remoteAddress ?? '';
  socket.on('error', () => undefined);
  socket.setTimeout(5000, () => socket.destroy());
  socket.once('data', (piece) => {
    note(heard, { over, from, text: piece.toString('latin1').slice(0, mostBytes) });
    socket.resume();
  });
}

function note(heard: Heard[], row: Heard): void {
  if (heard.length < mostRows) {
    heard.push(row);
  }
}

async function bindUdp(heard: Heard[], { port, address }: { port: number; address: '::' | '0.0.0.0' }): Promise<DatagramSocket> {
  const socket = createSocket({ type: address === '::' ? 'udp6' : 'udp4' });
  socket.on('message', (piece, { address: from }) => {
    note(heard, { over: 'udp', from, text: piece.toString('latin1').slice(0, mostBytes) });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, address }, resolve);
  });
  socket.on('error', () => undefined);
  return socket;
}

/** Link-local IPv6 addresses need the name of an interface, which is another inside a sandbox. */
function ownAddresses(withIPv6: boolean): readonly SinkAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ family, address }) => family === 'IPv4' || (withIPv6 && !address.startsWith('fe80:')))
    .map(({ family, address }) => ({ family: family === 'IPv4' ? 4 : 6, address }));
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.unref();
    setTimeout(resolve, 200).unref();
  });
}
