import type { ChildProcess } from 'node:child_process';
import type { Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { dataFile } from '../system/data-file.ts';
import type { Ingress, IngressReceiver } from '../system/ingress.ts';
import { spawnProcess, type Spawn } from '../system/process.ts';
import type { Abortable, IngressPorts } from './engine.ts';

/**
 * Listeners inside a sandbox's network namespace, served by this process: a program of the engine's binds them there, passes the
 * descriptors over and exits. Nothing of ours stays in the sandbox and no byte is copied twice.
 */

export interface ListenerOptions {
  /** a data file of ours and its arguments: it reads an order, hands listeners over the channel and waits for its end */
  readonly program: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly spawn?: Spawn | undefined;
}

export interface ListenOptions extends Abortable {
  readonly listener: Listener;
}

/** The program, started, and waiting to be told which sandbox it is for. It ends when this process does. */
export interface Listener {
  readonly child: ChildProcess;
  readonly hasEnded: () => boolean;
  /** It keeps nobody alive while it waits, and whoever gave it an order does. */
  readonly rest: () => void;
  readonly wake: () => void;
  readonly end: () => void;
}

/** Starting a program takes as long as what this one does, so it is started while the container is being made. */
export function startListener({ program: [file, ...args], env, spawn = spawnProcess }: ListenerOptions): Listener {
  const child = spawn('perl', [dataFile(file), ...args], {
    env: { ...env },
    stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
  });
  let ended = false;
  const note = (): void => {
    ended = true;
  };
  child.once('error', note);
  child.once('exit', note);
  child.stdin?.on('error', () => undefined);
  const handles = [child, child.channel, child.stdin, child.stderr];
  return {
    child,
    hasEnded: () => ended,
    rest: () => handles.forEach((handle) => void (handle && 'unref' in handle && handle.unref())),
    wake: () => handles.forEach((handle) => void (handle && 'ref' in handle && handle.ref())),
    end: () => void child.kill('SIGKILL'),
  };
}

const timeoutMs = 30_000;

/** Listeners that nobody is served by keep nobody alive after `rest`. */
export interface BoundIngress extends Ingress {
  readonly rest: () => void;
}

/** Of a container that waits for its sandbox. */
export interface BoundPorts {
  readonly ports: IngressPorts;
  readonly ingress: BoundIngress;
}

/** `place`: first word of the order, without blanks. Throws `ENGINE_FAILED` when not every port could be bound; none stays open then. */
export async function listenInside(place: string, ports: IngressPorts, options: ListenOptions): Promise<BoundIngress> {
  const { signal, listener } = options;
  const { child } = listener;
  const wanted = [...ports.tcp.map((port) => `tcp=${port}`), ...ports.udp.map((port) => `udp=${port}`)];
  const sockets = socketSet();
  try {
    signal?.throwIfAborted();
    listener.wake();
    child.stdin?.end(`${[place, ...wanted].join(' ')}\n`);
    await received(child, wanted.length, sockets, signal);
  } catch (error) {
    await sockets.close();
    listener.end();
    throw error;
  }
  child.disconnect();
  return { serve: sockets.serve, close: sockets.close, rest: sockets.rest };
}

async function received(child: ChildProcess, count: number, sockets: SocketSet, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = '';
  let left = count;
  const fail = (why: string): void => reject(new CasemateError('ENGINE_FAILED', `cannot listen in the sandbox: ${visible(why)}`));
  const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  child.stderr?.on('data', (piece: Buffer) => {
    said = (said + piece.toString('utf8')).slice(-500);
  });
  child.on('message', (message: unknown, handle: unknown) => {
    const port = portOf(message);
    if (port === undefined || handle === undefined || handle === null) {
      return fail('a listener did not arrive');
    }
    sockets.take(port, handle);
    left -= 1;
    return left === 0 ? resolve() : undefined;
  });
  child.once('error', (error) => fail(error.message));
  child.once('close', () => fail(said.trim() || 'perl ended early'));
  if (count === 0) {
    resolve();
  }
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

interface HandedPort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

function portOf(message: unknown): HandedPort | undefined {
  if (typeof message !== 'object' || message === null || !('protocol' in message) || !('port' in message)) {
    return undefined;
  }
  const { protocol, port } = message;
  return typeof port === 'number' && (protocol === 'tcp' || protocol === 'udp') ? { protocol, port } : undefined;
}

type SocketSet = BoundIngress & { readonly take: (port: HandedPort, handle: unknown) => void };

function socketSet(): SocketSet {
  const servers: Server[] = [];
  const datagrams: DatagramSocket[] = [];
  let receiver: IngressReceiver | undefined;
  let isClosed = false;
  const onConnection = (localPort: number, socket: Socket): void => {
    const { localAddress } = socket;
    // Without an error listener a reset of a waiting connection would end this process.
    socket.on('error', () => undefined);
    if (receiver === undefined || localAddress === undefined) {
      socket.destroy();
    } else {
      receiver.connection({ socket, localAddress, localPort });
    }
  };
  const close = async (): Promise<void> => {
    isClosed = true;
    await Promise.all([...servers.splice(0).map(closeServer), ...datagrams.splice(0).map(closeDatagrams)]);
  };
  const keep = ({ protocol, port }: HandedPort, handle: unknown): void => {
    if (protocol === 'udp') {
      datagrams.push(datagramSocket(handle, port, () => receiver));
      return;
    }
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      onConnection(port, socket),
    );
    server.on('error', () => undefined);
    // A second listen() on a descriptor that listens already: Node only starts to accept on it.
    server.listen(handle, 1024);
    servers.push(server);
  };
  return {
    take(port, handle) {
      keep(port, handle);
      // It was on its way when whoever waited gave up.
      if (isClosed) {
        void close();
      }
    },
    rest: () => [...servers, ...datagrams].forEach((socket) => void socket.unref()),
    serve(newReceiver) {
      receiver = newReceiver;
      [...servers, ...datagrams].forEach((socket) => void socket.ref());
    },
    close,
  };
}

function datagramSocket(handle: unknown, localPort: number, receiver: () => IngressReceiver | undefined): DatagramSocket {
  if (!isDatagramSocket(handle)) {
    throw new CasemateError('ENGINE_FAILED', 'a datagram socket did not arrive');
  }
  handle.on('error', () => undefined);
  handle.on('message', (data, { port, address }) => {
    receiver()?.datagram({ data, localPort, reply: (answer) => answerWith(handle, answer, { port, address }) });
  });
  return handle;
}

/** An answer may come after the sandbox has ended. */
function answerWith(socket: DatagramSocket, answer: Uint8Array, { port, address }: { port: number; address: string }): void {
  try {
    socket.send(answer, port, address, () => undefined);
  } catch {
    // The socket is closed, and so is the one that asked.
  }
}

function isDatagramSocket(handle: unknown): handle is DatagramSocket {
  return typeof handle === 'object' && handle !== null && 'send' in handle && 'bind' in handle;
}

/** Stops accepting and does not wait: connections already handed over are the receiver's to close. */
async function closeServer(server: Server): Promise<void> {
  server.close();
}

async function closeDatagrams(socket: DatagramSocket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.close(() => resolve());
  await promise;
}
