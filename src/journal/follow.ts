import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { linesOf } from './read-records.ts';
import { readBlocks } from './read-blocks.ts';
import type { Found } from './query.ts';
import { listSegments, openSegment, type Segment } from './segments.ts';

/** Where a follower stands: the end of what it has read. */
export interface Cursor {
  /** number of segments before the one read */
  readonly index: number;
  /** bytes */
  readonly position: number;
}

/** The present end of the journal, less a little, so that a line that is just being written is met whole. */
export async function cursorNearEnd(folder: string): Promise<Cursor> {
  const segments = await listSegments(folder);
  const last = segments.at(-1);
  if (last === undefined) {
    return { index: 0, position: 0 };
  }
  const { size } = await stat(last.path);
  return { index: segments.length - 1, position: Math.max(0, size - 256 * 1024) };
}

export interface FollowOptions {
  readonly from: Cursor;
  /** records up to this one are known already */
  readonly afterSeq: number;
  readonly signal: AbortSignal;
  readonly pollMs?: number | undefined;
}

/** Records as they are written, across segments, until `signal` aborts. A journal that does not exist yet is waited for. */
export async function* followJournal(folder: string, options: FollowOptions): AsyncGenerator<Found> {
  const { signal, pollMs = 200 } = options;
  let { index, position } = options.from;
  let seen = options.afterSeq;
  while (!signal.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    const segments = await listSegments(folder);
    const segment = segments[index];
    if (segment !== undefined) {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the chain
      for await (const { found, end } of readFrom(segment, position)) {
        position = end;
        if (found !== undefined && found.record.seq > seen) {
          seen = found.record.seq;
          yield found;
        }
      }
      if (index < segments.length - 1) {
        index += 1;
        position = 0;
        continue;
      }
    }
    // oxlint-disable-next-line no-await-in-loop -- waiting is what following is
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

async function* readFrom(segment: Segment, position: number): AsyncGenerator<{ found: Found | undefined; end: number }> {
  const file = await openSegment(segment);
  let end = position;
  try {
    for await (const { bytes } of readBlocks(file, { position })) {
      for (const line of linesOf(bytes)) {
        end += line.bytes.length + 1;
        yield { found: line.record === undefined ? undefined : { record: line.record, bytes: line.bytes }, end };
      }
    }
  } finally {
    await file.close();
  }
}
