/** The messages that another implementation reads out of WebSocket frames. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';

/** Exported by the package, not by its types. */
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => Writable };

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
