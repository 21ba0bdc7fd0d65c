import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { maxLineBytes } from './encode-record.ts';

/** Reads a segment as runs of whole lines, in bounded memory. */

export interface Block {
  /** whole lines; in the last block of a segment maybe none */
  readonly bytes: Buffer;
  /** Bytes after the last line feed of the segment, or of a line that is too long: never part of a whole line. */
  readonly rest: Buffer;
}

export interface ReadOptions {
  readonly blockBytes?: number | undefined;
  /** How long to wait for the end of a line that a writer is just writing. */
  readonly patienceMs?: number | undefined;
  /** where to begin */
  readonly position?: number | undefined;
}

/** Only the last block has a `rest`. A line longer than `maxLineBytes` ends the reading. */
export async function* readBlocks(file: FileHandle, options: ReadOptions = {}): AsyncGenerator<Block, undefined> {
  const { blockBytes = 1024 * 1024 } = options;
  let position = options.position ?? 0;
  for (let isLast = false; !isLast;) {
    // oxlint-disable-next-line no-await-in-loop -- one block after the other is the point
    const { bytes, end, isEnd } = await readPatiently(file, {
      position,
      size: blockBytes + maxLineBytes,
      patienceMs: options.patienceMs ?? 0,
    });
    isLast = isEnd || bytes.length - end >= maxLineBytes;
    // The rest is a copy: whoever takes the lines may hand their memory to another thread.
    yield { bytes: bytes.subarray(0, end), rest: isLast ? Buffer.from(bytes.subarray(end)) : Buffer.alloc(0) };
    position += end;
  }
  return undefined;
}

interface Piece {
  readonly bytes: Buffer;
  /** after the last line feed */
  readonly end: number;
  /** whether the file ended here */
  readonly isEnd: boolean;
}

/** Reads again while the file ends in an unfinished line, for as long as there is patience. */
async function readPatiently(file: FileHandle, range: { position: number; size: number; patienceMs: number }): Promise<Piece> {
  const room = Buffer.allocUnsafeSlow(range.size);
  for (let waitedMs = 0; ; waitedMs += 20) {
    // oxlint-disable-next-line no-await-in-loop -- see above
    const read = await readFully(file, room, range.position);
    const bytes = room.subarray(0, read);
    const end = bytes.lastIndexOf(0x0a) + 1;
    const isEnd = read < room.length;
    if (!isEnd || end === read || waitedMs >= range.patienceMs) {
      return { bytes, end, isEnd };
    }
    // oxlint-disable-next-line no-await-in-loop -- waiting for the writer
    await sleep(20);
  }
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    // oxlint-disable-next-line no-await-in-loop -- the next read begins where this one ended
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) {
      break;
    }
    filled += bytesRead;
  }
  return filled;
}
