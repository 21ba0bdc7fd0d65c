import type { FileHandle } from 'node:fs/promises';

import { maxLineBytes } from './encode-record.ts';
import { decodeRecord } from './line-grammar.ts';
import { readBlocks } from './read-blocks.ts';
import type { JournalRecord } from './record.ts';
import { openSegment, type Segment } from './segments.ts';

/** The records of a journal, forwards or newest first, without holding more than a block of it. Verifies nothing. */

/** A record, or `undefined` for a line that is none. */
export type Line = { readonly bytes: Buffer; readonly record: JournalRecord | undefined };

export async function* readForwards(segments: readonly Segment[]): AsyncGenerator<Line> {
  for (const segment of segments) {
    // oxlint-disable-next-line no-await-in-loop -- one segment after the other
    const file = await openSegment(segment);
    try {
      for await (const { bytes } of readBlocks(file)) {
        yield* linesOf(bytes);
      }
    } finally {
      await file.close();
    }
  }
}

export async function* readBackwards(segments: readonly Segment[]): AsyncGenerator<Line> {
  for (const segment of segments.toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- one segment after the other
    const file = await openSegment(segment);
    try {
      for await (const bytes of blocksBackwards(file)) {
        yield* [...linesOf(bytes)].toReversed();
      }
    } finally {
      await file.close();
    }
  }
}

const blockBytes = 256 * 1024;

/** Runs of whole lines, last first. What stands after the last line feed is still being written and is left out. */
async function* blocksBackwards(file: FileHandle): AsyncGenerator<Buffer> {
  let end = (await file.stat()).size;
  let tail: Buffer = Buffer.alloc(0);
  let isLast = true;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const block = Buffer.alloc(end - start);
    // oxlint-disable-next-line no-await-in-loop -- one block after the other
    const { bytesRead } = await file.read(block, 0, block.length, start);
    const joined = Buffer.concat([block.subarray(0, bytesRead), tail]);
    const from = start === 0 ? 0 : joined.indexOf(0x0a) + 1;
    const to = isLast ? joined.lastIndexOf(0x0a) + 1 : joined.length;
    isLast = isLast && to === 0;
    yield joined.subarray(from, Math.max(from, to));
    // The beginning of the first line lies in the block before. One that is too long for a record is dropped.
    tail = from <= maxLineBytes ? Buffer.from(joined.subarray(0, from)) : Buffer.alloc(0);
    end = start;
  }
}

export function* linesOf(bytes: Buffer): Generator<Line> {
  for (let start = 0; start < bytes.length; ) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed < 0 ? bytes.length : feed;
    const line = bytes.subarray(start, end);
    yield { bytes: line, record: decodeRecord(line) };
    start = end + 1;
  }
}
