import { connect, Socket, type TcpNetConnectOpts } from 'node:net';

/**
 * Connections that are only relayed, read without the stream's own machinery: into one buffer of the connection that is
 * used again, and a far larger one while much is coming. That halves the processor time of each byte. Before `pourInto`
 * nothing that comes is lost, and at most one small buffer of it is read.
 */
interface Pourer {
  readonly begin: (to: Socket) => void;
}

const pourers = new WeakMap<Socket, Pourer>();

/** Opens a connection that `pourInto` may read. */
export function connectWide(options: TcpNetConnectOpts): Socket {
  const reader = createReader();
  const socket = connect({ ...options, onread: { buffer: reader.buffer, callback: reader.callback } });
  pourers.set(socket, reader.of(socket));
  return socket;
}

/** Whether it was opened by `connectWide`. */
export function isWide(socket: Socket): boolean {
  return pourers.has(socket);
}

/**
 * Writes what comes to another connection, with back-pressure. False: `from` can only be read as a stream. One that was
 * accepted is taken over here; what its stream has read already goes first.
 */
export function pourInto(from: Socket, to: Socket): boolean {
  const opened = pourers.get(from);
  if (opened !== undefined) {
    opened.begin(to);
    return true;
  }
  const reader = createReader();
  if (!takeOver(from, reader)) {
    return false;
  }
  const pourer = reader.of(from);
  for (let piece: unknown = from.read(); Buffer.isBuffer(piece); piece = from.read()) {
    to.write(piece);
  }
  pourer.begin(to);
  return true;
}

interface Reader {
  readonly buffer: () => Buffer;
  /** False: read no more for now. */
  readonly callback: (count: number, buffer: Uint8Array) => boolean;
  readonly of: (socket: Socket) => Pourer;
}

function createReader(): Reader {
  const room = createRoom();
  let target: Socket | undefined;
  let goOn = (): void => undefined;
  let early = 0;
  let isParked = false;
  /** True: the bytes are out of the buffer. */
  const pour = (bytes: Uint8Array, to: Socket): boolean => {
    to.write(bytes, goOn);
    isParked = to.writableLength > 0;
    return !isParked;
  };
  return {
    buffer: room.now,
    callback(count, buffer) {
      if (target === undefined) {
        early = count;
        return false;
      }
      const isOut = pour(buffer.subarray(0, count), target);
      room.learn(count, isOut);
      return isOut;
    },
    of(socket) {
      goOn = () => {
        if (isParked && target?.writableLength === 0) {
          isParked = false;
          socket.resume();
        }
      };
      socket.once('close', () => room.leave(isParked));
      return {
        begin(to) {
          target = to;
          if (early === 0 || pour(room.now().subarray(0, early), to)) {
            socket.resume();
          }
        },
      };
    },
  };
}

/** Where a socket of Node keeps what its option `onread` gave it: only one that is opened here can be given the option. */
interface ReadPlaces {
  readonly buffer: symbol;
  readonly generate: symbol;
  readonly callback: symbol;
}

let found: ReadPlaces | 'none' | undefined;

function readPlaces(): ReadPlaces | 'none' {
  if (found === undefined) {
    const probe = new Socket({ onread: { buffer: () => Buffer.alloc(1), callback: () => true } });
    const named = (name: string): symbol | undefined =>
      Object.getOwnPropertySymbols(probe).find(({ description }) => description === name);
    const [buffer, generate, callback] = [named('kBuffer'), named('kBufferGen'), named('kBufferCb')];
    probe.destroy();
    found = buffer && generate && callback ? { buffer, generate, callback } : 'none';
  }
  return found;
}

/** Gives an accepted connection the option `onread` afterwards. False: this Node does not have it where it is looked for. */
function takeOver(socket: Socket, { buffer, callback }: Reader): boolean {
  const places = readPlaces();
  const handle: unknown = Reflect.get(socket, '_handle');
  if (places === 'none' || socket.constructor !== Socket || !canTakeBuffers(handle) || !(places.buffer in socket)) {
    return false;
  }
  Reflect.set(socket, places.buffer, buffer());
  Reflect.set(socket, places.generate, buffer);
  Reflect.set(socket, places.callback, callback);
  handle.useUserBuffer(buffer());
  return true;
}

function canTakeBuffers(handle: unknown): handle is { readonly useUserBuffer: (buffer: Buffer) => void } {
  return typeof handle === 'object' && handle !== null && typeof Reflect.get(handle, 'useUserBuffer') === 'function';
}

const smallBytes = 16 * 1024;
const wideBytes = 256 * 1024;
/** So many wide buffers at most, of all connections together. */
const widest = 32;
/** A wide buffer that is filled less than an eighth so often in a row is given back. */
const poorReads = 8;

/** The buffer that one connection reads into now. */
interface Room {
  readonly now: () => Buffer;
  /** `isOut`: nobody holds the bytes that were read, so that the next ones may come elsewhere */
  readonly learn: (count: number, isOut: boolean) => void;
  readonly leave: (isHeld: boolean) => void;
}

const spare: Buffer[] = [];
/** Short connections follow each other: theirs are used again, up to so many. */
const spareSmall: Buffer[] = [];
const keptSmall = 64;
let lent = 0;

function createRoom(): Room {
  const small = spareSmall.pop() ?? Buffer.allocUnsafeSlow(smallBytes);
  let now: Buffer = small;
  let poor = 0;
  const giveBack = (isHeld: boolean): void => {
    if (now !== small) {
      lent -= 1;
      // A write that is under way still reads it.
      if (!isHeld) {
        spare.push(now);
      }
      now = small;
    }
  };
  return {
    now: () => now,
    learn(count, isOut) {
      poor = count < now.length / 8 ? poor + 1 : 0;
      if (!isOut) {
        return;
      }
      if (now === small && count === smallBytes && lent < widest) {
        lent += 1;
        now = spare.pop() ?? Buffer.allocUnsafeSlow(wideBytes);
      } else if (poor >= poorReads) {
        giveBack(false);
      }
    },
    leave(isHeld) {
      const holdsSmall = isHeld && now === small;
      giveBack(isHeld);
      if (!holdsSmall && spareSmall.length < keptSmall) {
        spareSmall.push(small);
      }
    },
  };
}
