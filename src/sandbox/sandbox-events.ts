import { queryJournal } from '../journal/query.ts';
import type { JournalRecord } from '../journal/record.ts';
import { listSegments } from '../journal/segments.ts';

/** What the journal says of one sandbox and those of its servers, oldest first, from behind a record on. */
export interface EventPage {
  readonly records: readonly JournalRecord[];
  /** sequence number to go on behind; the newest that was looked at */
  readonly next: number;
  readonly more: boolean;
}

/** `folder` is the journal's. */
export async function sandboxEvents(
  folder: string,
  { sandboxes, after, limit }: { readonly sandboxes: readonly string[]; readonly after: number; readonly limit: number },
): Promise<EventPage> {
  const filters = { sandboxes: new Set(sandboxes) };
  const records: JournalRecord[] = [];
  for await (const { record } of queryJournal(await listSegments(folder), { filters })) {
    if (record.seq > after) {
      if (records.length === limit) {
        return { records, next: records.at(-1)?.seq ?? after, more: true };
      }
      records.push(record);
    }
  }
  return { records, next: records.at(-1)?.seq ?? after, more: false };
}
