import { readBackwards } from '../../journal/read-records.ts';
import type { JournalRecord } from '../../journal/record.ts';
import { listSegments } from '../../journal/segments.ts';

/** What the journal says of one sandbox and its servers, oldest first, after a given record. */
export interface EventPage {
  readonly records: readonly JournalRecord[];
  /** sequence number to go on behind */
  readonly next: number;
  /** whoever looks again by himself need not look at what is before this one */
  readonly looked: number;
  readonly more: boolean;
}

export interface EventQuery {
  /** the session first, then those of its servers */
  readonly sandboxes: readonly string[];
  readonly after: number;
  readonly limit: number;
}

/**
 * `folder` is the journal's, which may be of years and of many: it is read from its end, and no further back than to `after`
 * or the session's beginning.
 */
export async function sandboxEvents(folder: string, { sandboxes, after, limit }: EventQuery): Promise<EventPage> {
  const kept: JournalRecord[] = [];
  let more = false;
  let newest = after;
  for await (const record of recordsBackwards(folder, sandboxes)) {
    newest = Math.max(newest, record.seq);
    if (record.seq <= after) {
      break;
    }
    if (isOf(record, sandboxes)) {
      kept.push(record);
      if (kept.length > limit) {
        kept.shift();
        more = true;
      }
    }
  }
  const next = kept[0]?.seq ?? after;
  return { records: kept.toReversed(), next, looked: more ? next : newest, more };
}

/** The last ones, oldest first. */
export async function newestEvents(
  folder: string,
  { sandboxes, limit }: Pick<EventQuery, 'sandboxes' | 'limit'>,
): Promise<readonly JournalRecord[]> {
  const kept: JournalRecord[] = [];
  for await (const record of recordsBackwards(folder, sandboxes)) {
    if (isOf(record, sandboxes) && kept.push(record) >= limit) {
      break;
    }
  }
  return kept.toReversed();
}

function isOf({ sandbox }: JournalRecord, sandboxes: readonly string[]): boolean {
  return sandbox !== undefined && sandboxes.includes(sandbox);
}

/** What is recorded of a session before it is made (keys that are given for it) lies so near, with others' between. */
const beforeBirth = 10_000;

async function* recordsBackwards(folder: string, [session]: readonly string[]): AsyncGenerator<JournalRecord> {
  let left = Number.POSITIVE_INFINITY;
  for await (const { record } of readBackwards(await listSegments(folder))) {
    if (record === undefined) {
      continue;
    }
    yield record;
    left = record.action === 'sandbox.create' && record.sandbox === session ? beforeBirth : left - 1;
    if (left <= 0) {
      return;
    }
  }
}
