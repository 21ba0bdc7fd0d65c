import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { patience } from '../patience.ts';

/** Sends exactly the bytes it is given, and returns everything that arrives until the end. Never rejects. */
export interface Heard {
  /** as latin1 */
  readonly text: string;
  /** `quiet`: still open, and nothing has come for a while, which is longer on a busy machine */
  readonly end: 'end' | 'reset' | 'quiet';
}

export interface TalkOptions {
  readonly quietMs?: number | undefined;
  /** between two pieces; default: all at once */
  readonly gapMs?: number | undefined;
}

export type Piece = string | Uint8Array;

export async function talk(stream: Duplex, pieces: readonly Piece[], options: TalkOptions = {}): Promise<Heard> {
  const { quietMs = 600, gapMs } = options;
  const ended = Promise.withResolvers<Heard['end']>();
  const parts: Buffer[] = [];
  const timer = setTimeout(() => ended.resolve('quiet'), quietMs * patience());
  stream.on('data', (piece: Buffer) => {
    parts.push(piece);
    timer.refresh();
  });
  stream.once('end', () => ended.resolve('end'));
  stream.on('error', () => ended.resolve('reset'));
  stream.once('close', () => ended.resolve(parts.length === 0 ? 'reset' : 'end'));
  if (stream.destroyed) {
    ended.resolve('reset');
  }
  await send(stream, pieces, { gapMs, sent: () => timer.refresh() });
  const end = await ended.promise;
  clearTimeout(timer);
  stream.destroy();
  return { text: Buffer.concat(parts).toString('latin1'), end };
}

interface Sending {
  readonly gapMs: number | undefined;
  readonly sent: () => void;
}

async function send(stream: Duplex, pieces: readonly Piece[], { gapMs, sent }: Sending): Promise<void> {
  for (const piece of pieces) {
    if (stream.destroyed) {
      return;
    }
    stream.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
    sent();
    if (gapMs !== undefined) {
      // oxlint-disable-next-line no-await-in-loop -- the gap is what is tried
      await sleep(gapMs);
    }
  }
}
