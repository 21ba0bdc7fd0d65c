import { Socket } from 'node:net';
import { getSystemErrorMap } from 'node:util';

/**
 * The internals of Node's sockets that relayed connections use directly: the streams on top cost more processor time than the
 * rest of a connection, the kernel's part included. Node guarantees none of this, so each part is checked at first use; if one
 * is missing, relays use streams.
 */
export interface NodeTcp {
  /** A connection that leads nowhere yet. */
  readonly open: () => TcpHandle;
  readonly connectRequest: () => ConnectRequest;
  readonly writeRequest: () => WriteRequest;
  readonly shutdownRequest: () => HandleRequest;
  /** Of the read that is told of now: its bytes, or a negative number of an error. */
  readonly readCount: () => number;
  /** Of the last write: not all of it is with the kernel, and the request is told when it is. */
  readonly isWriteWaiting: () => boolean;
}

/** A connection, or one end of it; methods answer 0, or a negative number of an error. */
export interface StreamHandle {
  /** Called for each read, with nothing once `useUserBuffer` was; answers the buffer for the next one. */
  onread: () => unknown;
  readonly readStart: () => number;
  readonly readStop: () => number;
  /** Reads go there, until `onread` names another. It must live as long as the handle. Once for each handle. */
  readonly useUserBuffer: (buffer: Uint8Array) => number;
  readonly writeBuffer: (request: WriteRequest, bytes: Uint8Array) => number;
  readonly shutdown: (request: HandleRequest) => number;
  /** bytes that wait to be written */
  readonly writeQueueSize: number;
}

export interface TcpHandle extends StreamHandle {
  readonly connect: (request: ConnectRequest, address: string, port: number) => number;
  readonly connect6: (request: ConnectRequest, address: string, port: number) => number;
  readonly setNoDelay: (isOn: boolean) => number;
  readonly setKeepAlive: (isOn: boolean, afterSeconds: number) => number;
  readonly close: () => void;
  readonly reset: () => number;
}

export interface HandleRequest {
  /** `status`: 0, or a negative number of an error */
  oncomplete: (status: number) => void;
}

export type ConnectRequest = HandleRequest;

export interface WriteRequest extends HandleRequest {
  /** as Node's own sockets set it */
  handle: StreamHandle | undefined;
  /** kept alive until it is written */
  buffer: Uint8Array | undefined;
}

/** `undefined`: this Node has it not. */
export function nodeTcp(): NodeTcp | undefined {
  found ??= { parts: find((name) => bindingOf(process, name)) };
  return found.parts;
}

let found: { readonly parts: NodeTcp | undefined } | undefined;

/** The handle below an accepted or connected TCP or Unix socket; `undefined`: there is none that can be used. */
export function handleOf(socket: Socket): StreamHandle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  // A class above it, as TLS is, means other bytes than those of the handle.
  if (socket.constructor !== Socket || typeof handle !== 'object' || handle === null) {
    return undefined;
  }
  const kind: object | null = Object.getPrototypeOf(handle);
  if (kind === null || !(usable.has(kind) || hasMethods(kind, streamMethods))) {
    return undefined;
  }
  usable.add(kind);
  // oxlint-disable-next-line no-unsafe-type-assertion -- its methods have just been looked for
  return handle as StreamHandle;
}

/** What handles are made from, where it has all that is used of it. */
const usable = new WeakSet<object>();

/** The number by which a read says that the other side has ended. */
export const endOfFile = [...getSystemErrorMap()].find(([, [name]]) => name === 'EOF')?.[0] ?? -4095;

const streamMethods = ['readStart', 'readStop', 'useUserBuffer', 'writeBuffer', 'shutdown'] as const;
const tcpMethods = [...streamMethods, 'connect', 'connect6', 'setNoDelay', 'setKeepAlive', 'close', 'reset'] as const;

function bindingOf(owner: object, name: string): unknown {
  const binding: unknown = Reflect.get(owner, 'binding');
  return typeof binding === 'function' ? Reflect.apply(binding, owner, [name]) : undefined;
}

/** `binding`: gives parts of Node by name, or throws. */
export function find(binding: (name: string) => unknown): NodeTcp | undefined {
  try {
    const [tcp, stream] = [recordOf(binding('tcp_wrap')), recordOf(binding('stream_wrap'))];
    const [TCP, Connect] = [makerOf(tcp['TCP'], tcpMethods), makerOf(tcp['TCPConnectWrap'])];
    const [Write, Shutdown] = [makerOf(stream['WriteWrap']), makerOf(stream['ShutdownWrap'])];
    const { SOCKET: client } = recordOf(tcp['constants']);
    const { streamBaseState: state, kReadBytesOrError: read, kLastWriteWasAsync: waits } = stream;
    const isWhole = TCP !== undefined && Connect !== undefined && Write !== undefined && Shutdown !== undefined;
    const areNumbers = typeof client === 'number' && typeof read === 'number' && typeof waits === 'number';
    if (!isWhole || !areNumbers || !(state instanceof Int32Array)) {
      return undefined;
    }
    /* oxlint-disable no-unsafe-type-assertion -- made by Node, and looked at above */
    return {
      open: () => new TCP(client) as TcpHandle,
      connectRequest: () => new Connect() as ConnectRequest,
      writeRequest: () => new Write() as WriteRequest,
      shutdownRequest: () => new Shutdown() as HandleRequest,
      readCount: () => state[read] ?? 0,
      isWriteWaiting: () => state[waits] !== 0,
    };
    /* oxlint-enable no-unsafe-type-assertion */
  } catch {
    return undefined;
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

type Maker = new (kind?: number) => unknown;

function makerOf(value: unknown, methods: readonly string[] = []): Maker | undefined {
  // oxlint-disable-next-line no-unsafe-type-assertion -- what Node exports under these names are constructors
  return typeof value === 'function' && hasMethods(value.prototype, methods) ? (value as Maker) : undefined;
}

function hasMethods(value: unknown, methods: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && methods.every((name) => typeof Reflect.get(value, name) === 'function');
}
