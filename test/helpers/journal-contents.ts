/** What a journal on disk holds, for tests that write one and look. */
import { join } from 'node:path';

import { openJournal } from '../../src/journal/open-journal.ts';
import { queryJournal } from '../../src/journal/query.ts';
import type { JournalRecord } from '../../src/journal/record.ts';
import { listSegments } from '../../src/journal/segments.ts';
import type { JournalFolder } from './journal-folder.ts';
import { entryOf } from './journal-log.ts';

export const firstSegment = (place: JournalFolder): string => join(place.folder, 'journal-000001.jsonl');

export async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const list: T[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}

export async function recordsOf(place: JournalFolder): Promise<readonly JournalRecord[]> {
  const found = await all(queryJournal(await listSegments(place.folder), { filters: {} }));
  return found.map(({ record }) => record);
}

export async function writeSome(place: JournalFolder, count = 5): Promise<void> {
  const journal = await openJournal(place);
  await Promise.all(Array.from({ length: count }, (_, index) => journal.append(entryOf(index))));
  await journal.close();
}
