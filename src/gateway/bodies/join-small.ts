import type { Readable } from 'node:stream';

/** So many small pieces go on one by one before those behind them wait for each other. */
const alone = 8;
const smallBytes = 1024;
const roomBytes = 16 * 1024;

/**
 * Makes one piece of the small ones that come in one turn. A frame of HTTP/2 may hold one byte of content, and is a piece of
 * its own then: each would cost what a kilobyte does in whatever it goes through, and some 200 bytes where nobody takes it, which
 * no window bounds. Set right when the stream is there; its end and larger pieces keep their place.
 */
export function joinSmall<T extends Readable>(stream: T): T {
  const push = stream.push.bind(stream);
  let room: Buffer | undefined;
  let held = 0;
  let count = 0;
  let isWaiting = false;
  const hand = (): void => {
    count = 0;
    if (room !== undefined && held > 0) {
      const piece = Buffer.from(room.subarray(0, held));
      held = 0;
      push(piece);
    }
  };
  const handLater = (): void => {
    if (!isWaiting) {
      isWaiting = true;
      setImmediate(() => {
        isWaiting = false;
        hand();
        room = undefined;
      });
    }
  };
  stream.push = (piece: unknown, encoding?: BufferEncoding): boolean => {
    if (!Buffer.isBuffer(piece) || piece.length >= smallBytes) {
      hand();
      return push(piece, encoding);
    }
    if (held === 0 && count < alone) {
      count += 1;
      return push(piece);
    }
    if (held + piece.length > roomBytes) {
      hand();
    }
    room ??= Buffer.allocUnsafe(roomBytes);
    held += piece.copy(room, held);
    handLater();
    return stream.readableLength + held < stream.readableHighWaterMark;
  };
  return stream;
}
