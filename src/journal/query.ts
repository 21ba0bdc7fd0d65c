import { isSandboxId } from '../base/ids.ts';
import type { JournalRecord } from './record.ts';
import { readBackwards, readForwards, type Line } from './read-records.ts';
import type { Segment } from './segments.ts';

/** Which records are wanted. Absent: any. */
export interface Filters {
  /** ids of sandboxes; see `sandboxIds` for names */
  readonly sandboxes?: ReadonlySet<string> | undefined;
  /** prefix */
  readonly action?: string | undefined;
  readonly decision?: JournalRecord['decision'] | undefined;
  /** milliseconds since the epoch, inclusive */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** anywhere in the record, letter case ignored */
  readonly text?: string | undefined;
}

export interface QueryOptions {
  readonly filters: Filters;
  /** the newest so many */
  readonly limit?: number | undefined;
  /** Called for each line that is no record. */
  readonly onBadLine?: (() => void) | undefined;
}

export interface Found {
  readonly record: JournalRecord;
  /** the exact bytes of its line, without line feed */
  readonly bytes: Buffer;
}

/** Matching records in the order of the journal. Memory is bounded by `limit`, or by one block without it. */
export async function* queryJournal(segments: readonly Segment[], options: QueryOptions): AsyncGenerator<Found> {
  const { limit } = options;
  if (limit === undefined) {
    yield* matching(readForwards(segments), options);
    return;
  }
  const newest: Found[] = [];
  if (limit > 0) {
    for await (const { record, bytes } of matching(readBackwards(segments), options)) {
      // A copy: the bytes are a view of a whole block.
      newest.push({ record, bytes: Buffer.from(bytes) });
      if (newest.length >= limit) {
        break;
      }
    }
  }
  yield* newest.toReversed();
}

async function* matching(lines: AsyncGenerator<Line>, { filters, onBadLine }: QueryOptions): AsyncGenerator<Found> {
  const matches = matcher(filters);
  for await (const { record, bytes } of lines) {
    if (record === undefined) {
      onBadLine?.();
    } else if (matches(record)) {
      yield { record, bytes };
    }
  }
}

/** Times are compared record by record: a clock may have been set back between two. */
export function matcher(filters: Filters): (record: JournalRecord) => boolean {
  const { sandboxes, action, decision, sinceMs = -Infinity, untilMs = Infinity } = filters;
  const isTimed = filters.sinceMs !== undefined || filters.untilMs !== undefined;
  const text = filters.text?.toLowerCase();
  return (record) =>
    (sandboxes === undefined || (record.sandbox !== undefined && sandboxes.has(record.sandbox))) &&
    (action === undefined || record.action.startsWith(action)) &&
    (decision === undefined || record.decision === decision) &&
    (!isTimed || isBetween(Date.parse(record.time), sinceMs, untilMs)) &&
    (text === undefined || searchText(record).includes(text));
}

function isBetween(timeMs: number, sinceMs: number, untilMs: number): boolean {
  return timeMs >= sinceMs && timeMs <= untilMs;
}

function searchText(record: JournalRecord): string {
  const { previous: _, detail, ...rest } = record;
  const facts = Object.entries(detail ?? {}).map(([name, value]) => `${name}=${value}`);
  return [...Object.values(rest), ...facts].join('\n').toLowerCase();
}

/** The ids that a name has had, by the records of the sandboxes' lives; an id stands for itself. */
export async function sandboxIds(segments: readonly Segment[], nameOrId: string): Promise<ReadonlySet<string>> {
  if (isSandboxId(nameOrId)) {
    return new Set([nameOrId]);
  }
  const ids = new Set<string>();
  for await (const { record } of readForwards(segments)) {
    if (record?.sandbox !== undefined && record.action.startsWith('sandbox.') && record.subject === nameOrId) {
      ids.add(record.sandbox);
    }
  }
  return ids;
}
