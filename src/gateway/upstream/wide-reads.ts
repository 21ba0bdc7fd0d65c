import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';

/**
 * Connections that are only relayed, read without the stream's own machinery: into one buffer of the connection that is
 * used again, and a far larger one while much is coming. That halves the processor time of each byte. Before `pourInto`
 * nothing that comes is lost, and at most one small buffer of it is read.
 */
interface Pourer {
  readonly begin: (to: Socket) => void;
}

const smallBytes = 16 * 1024;
const wideBytes = 256 * 1024;
/** So many wide buffers at most, of all connections together. */
const widest = 32;
/** A wide buffer that is filled less than an eighth so often in a row is given back. */
const poorReads = 8;

const pourers = new WeakMap<Socket, Pourer>();

export function connectWide(options: TcpNetConnectOpts): Socket {
  const room = createRoom();
  let target: Socket | undefined;
  let early = 0;
  let isParked = false;
  const goOn = (): void => {
    if (isParked && target?.writableLength === 0) {
      isParked = false;
      socket.resume();
    }
  };
  /** True: the bytes are out of the buffer. */
  const pour = (bytes: Uint8Array, to: Socket): boolean => {
    to.write(bytes, goOn);
    isParked = to.writableLength > 0;
    return !isParked;
  };
  const socket = connect({
    ...options,
    onread: {
      buffer: () => room.now(),
      callback(count, buffer) {
        if (target === undefined) {
          early = count;
          return false;
        }
        const isOut = pour(buffer.subarray(0, count), target);
        room.learn(count, isOut);
        return isOut;
      },
    },
  });
  socket.once('close', () => room.leave(isParked));
  pourers.set(socket, {
    begin(to) {
      target = to;
      if (early === 0 || pour(room.now().subarray(0, early), to)) {
        socket.resume();
      }
    },
  });
  return socket;
}

/** Whether it was opened by `connectWide`. */
export function isWide(socket: Socket): boolean {
  return pourers.has(socket);
}

/** Writes what comes to another connection, with back-pressure. False: `from` was not opened by `connectWide`. */
export function pourInto(from: Socket, to: Socket): boolean {
  const pourer = pourers.get(from);
  pourer?.begin(to);
  return pourer !== undefined;
}

/** The buffer that one connection reads into now. */
interface Room {
  readonly now: () => Buffer;
  /** `isOut`: nobody holds the bytes that were read, so that the next ones may come elsewhere */
  readonly learn: (count: number, isOut: boolean) => void;
  readonly leave: (isHeld: boolean) => void;
}

const spare: Buffer[] = [];
let lent = 0;

function createRoom(): Room {
  const small = Buffer.allocUnsafeSlow(smallBytes);
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
    leave: giveBack,
  };
}
