import type { Socket } from 'node:net';

/** A name has 255 bytes at most; extensions (RFC 6891) are what the rest is for. */
const maxQueryBytes = 4096;

/** DNS over TCP (RFC 7766): each message after its length in two bytes. Queries are answered in order. */
export function serveDnsStream(
  socket: Socket,
  answer: (query: Uint8Array) => Uint8Array | undefined,
  options: { readonly idleMs: number; readonly maxQueries?: number },
): void {
  let pending: Buffer = Buffer.alloc(0);
  let left = options.maxQueries ?? 1000;
  const take = (): void => {
    // Longer than any query: what is held for one connection stays small.
    if (pending.length >= 2 && pending.readUInt16BE(0) > maxQueryBytes) {
      socket.destroy();
      return;
    }
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0);
      const reply = left > 0 ? answer(pending.subarray(2, end)) : undefined;
      left -= 1;
      pending = pending.subarray(end);
      if (reply === undefined) {
        socket.destroy();
        return;
      }
      writeFramed(socket, reply);
    }
  };
  socket.setTimeout(options.idleMs, () => socket.destroy());
  socket.on('data', (piece: Buffer) => {
    pending = pending.length === 0 ? piece : Buffer.concat([pending, piece]);
    take();
    if (socket.writableNeedDrain) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  });
  socket.on('end', () => socket.end());
  socket.resume();
}

function writeFramed(socket: Socket, message: Uint8Array): void {
  const framed = Buffer.alloc(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  socket.write(framed);
}
