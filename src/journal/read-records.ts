import type { FileHandle } from 'node:fs/promises';

import { maxLineBytes } from './encode-record.ts';
import { decodeRecord } from './line-grammar.ts';
import { readBlocks } from './read-blocks.ts';
import type { JournalRecord } from './record.ts';
import { openSegment, type Segment } from './segments.ts';

/** Reads the records of a journal, oldest or newest first, holding at most one block of it. Verifies nothing. */

/** A record, or `undefined` for a line that is none. */
export type Line = { readonly bytes: Buffer; readonly record: JournalRecord | undefined };

export async function* readForwards(segments: readonly Segment[]): AsyncGenerator<Line> {
  for (const segment of segments) {
    // oxlint-disable-next-line no-await-in-loop -- one segment after the other
    const file = await openSegment(segment);
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the chain
      for await (const { bytes } of readBlocks(file)) {
        yield* linesOf(bytes);
      }
    } finally {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the chain
      await file.close();
    }
  }
}

export async function* readBackwards(segments: readonly Segment[]): AsyncGenerator<Line> {
  for (const segment of segments.toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- one segment after the other
    const file = await openSegment(segment);
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the chain
      for await (const bytes of blocksBackwards(file)) {
        yield* [...linesOf(bytes)].toReversed();
      }
    } finally {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the chain
      await file.close();
    }
  }
}

const blockBytes = 256 * 1024;

/** Runs of whole lines, last first. What stands after the last line feed is still being written and is left out. */
async function* blocksBackwards(file: FileHandle): AsyncGenerator<Buffer> {
  let end = (await file.stat()).size;
  // Begins in the block before: the end of a line whose beginning is not yet read.
  let tail: Buffer = Buffer.alloc(0);
  let isFinished = false;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    // oxlint-disable-next-line no-await-in-loop -- one block after the other
    const joined = Buffer.concat([await readRange(file, start, end), tail]);
    const to: number = isFinished ? joined.length : joined.lastIndexOf(0x0a) + 1;
    const from = start === 0 ? 0 : joined.indexOf(0x0a) + 1;
    isFinished ||= to > 0;
    yield joined.subarray(from, Math.max(from, to));
    // One that is too long for a record is dropped.
    tail = from <= maxLineBytes ? Buffer.from(joined.subarray(0, from)) : Buffer.alloc(0);
    end = start;
  }
}

async function readRange(file: FileHandle, start: number, end: number): Promise<Buffer> {
  const block = Buffer.alloc(end - start);
  const { bytesRead } = await file.read(block, 0, block.length, start);
  return block.subarray(0, bytesRead);
}

export function* linesOf(bytes: Buffer): Generator<Line> {
  for (let start = 0; start < bytes.length;) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed < 0 ? bytes.length : feed;
    const line = bytes.subarray(start, end);
    yield { bytes: line, record: decodeRecord(line) };
    start = end + 1;
  }
}
