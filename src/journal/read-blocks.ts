import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { maxLineBytes } from './encode-record.ts';

/** A segment as runs of whole lines, in bounded memory. */

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
  const { blockBytes = 1024 * 1024, patienceMs = 0 } = options;
  let position = options.position ?? 0;
  let waitedMs = 0;
  for (;;) {
    const room = Buffer.allocUnsafeSlow(blockBytes + maxLineBytes);
    // oxlint-disable-next-line no-await-in-loop -- one block after the other is the point
    const read = await readFully(file, room, position);
    const bytes = room.subarray(0, read);
    const end = bytes.lastIndexOf(0x0a) + 1;
    const isEnd = read < room.length;
    if (isEnd && end < read && waitedMs < patienceMs) {
      waitedMs += 20;
      // oxlint-disable-next-line no-await-in-loop -- waiting for the writer
      await sleep(20);
      continue;
    }
    const isTooLong = read - end >= maxLineBytes;
    // The rest is a copy: whoever takes the lines may hand their memory to another thread.
    yield { bytes: bytes.subarray(0, end), rest: isEnd || isTooLong ? Buffer.from(bytes.subarray(end)) : Buffer.alloc(0) };
    if (isEnd || isTooLong) {
      return undefined;
    }
    position += end;
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
