/** WebSocket frames byte by byte, right or wrong, and the messages that another implementation reads out of them. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';

/** Exported by the package, not by its types. */
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => Writable };

export interface FrameParts {
  readonly code: number;
  readonly content?: Buffer;
  readonly isFinal?: boolean;
  readonly key?: Buffer;
  readonly reserved?: number;
}

export function frame({ code, content = Buffer.alloc(0), isFinal = true, key, reserved = 0 }: FrameParts): Buffer {
  const length = content.length;
  const mask = key === undefined ? 0 : 0x80;
  const head = [(isFinal ? 0x80 : 0) | (reserved << 4) | code, mask | (length < 126 ? length : length < 65_536 ? 126 : 127)];
  if (length >= 65_536) {
    head.push(0, 0, 0, 0, length >>> 24, (length >>> 16) & 0xff);
  }
  if (length >= 126) {
    head.push((length >>> 8) & 0xff, length & 0xff);
  }
  const masked = key === undefined ? content : Buffer.from(content.map((byte, index) => byte ^ (key[index & 3] ?? 0)));
  return Buffer.concat([Buffer.from(head), key ?? Buffer.alloc(0), masked]);
}

export interface Heard {
  readonly messages: string[];
  readonly pings: string[];
  closed: string | undefined;
  error: Error | undefined;
}

/** What the receiver of the package `ws` makes of the bytes. */
export async function hear(bytes: Buffer, sender: 'client' | 'server'): Promise<Heard> {
  const receiver = new Receiver({ isServer: sender === 'client', extensions: {}, skipUTF8Validation: true });
  const heard: Heard = { messages: [], pings: [], closed: undefined, error: undefined };
  receiver.on('message', (data: Buffer) => heard.messages.push(data.toString('latin1')));
  receiver.on('ping', (data: Buffer) => heard.pings.push(data.toString('latin1')));
  receiver.on('conclude', (code: number, reason: Buffer) => (heard.closed = `${code} ${reason.toString('latin1')}`));
  receiver.on('error', (error: Error) => (heard.error = error));
  await new Promise<void>((resolve) => receiver.write(bytes, () => resolve()));
  // Messages are handed out in later turns.
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return heard;
}

/** `bytes` cut into pieces whose lengths are taken from `sizes`, again and again. */
export function cutInto(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? bytes.length);
    pieces.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return pieces;
}
