import type { Readable } from 'node:stream';

/** Frames between this host and `inside/relay.pl`: one letter, id and length (32 bits, network order), payload. */

const headBytes = 9;
const greatestPayload = 1024 * 1024;

export function frame(kind: string, id: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(headBytes);
  head.write(kind, 0, 'latin1');
  head.writeUInt32BE(id, 1);
  head.writeUInt32BE(body.length, 5);
  return Buffer.concat([head, body]);
}

export type TakeFrame = (kind: string, id: number, payload: Buffer) => void;

/** What a sandbox wrote is not trusted to be well formed: a frame that is too long ends the stream. */
export function readFrames(from: Readable, take: TakeFrame): void {
  let held = Buffer.alloc(0);
  from.on('data', (piece: Buffer) => {
    held = Buffer.concat([held, piece]);
    while (held.length >= headBytes) {
      const length = held.readUInt32BE(5);
      if (length > greatestPayload) {
        from.destroy();
        return;
      }
      if (held.length < headBytes + length) {
        return;
      }
      take(held.toString('latin1', 0, 1), held.readUInt32BE(1), held.subarray(headBytes, headBytes + length));
      held = held.subarray(headBytes + length);
    }
  });
}
