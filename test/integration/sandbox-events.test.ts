/** What a caller reads of its session's journal, and how far back into that of all others the host goes for it. */
import { mkdir, rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';

import { openJournal } from '../../src/journal/open-journal.ts';
import { listSegments } from '../../src/journal/segments.ts';
import { newestEvents, sandboxEvents } from '../../src/sandbox/recorded/sandbox-events.ts';
import { journalFolder } from '../helpers/journal-folder.ts';

const session = 'cm-00000000000000aa';
const other = 'cm-00000000000000bb';

const entry = (sandbox: string, action: string) =>
  ({ sandbox, action, actor: 'test', subject: 'x', decision: 'none', outcome: 'ok' }) as const;

async function written(place: { folder: string; witnessPath: string }): Promise<void> {
  const journal = await openJournal({ ...place, maxSegmentBytes: 4096 });
  for (let index = 0; index < 40; index += 1) {
    await journal.append(entry(other, 'net.exchange'));
  }
  await journal.append(entry(session, 'credential.given'));
  await journal.append(entry(other, 'net.exchange'));
  await journal.append(entry(session, 'sandbox.create'));
  for (let index = 0; index < 10; index += 1) {
    await journal.append(entry(other, 'net.exchange'));
    await journal.append(entry(session, `exec.${index}`));
  }
  await journal.close();
}

describe('the events of a session', () => {
  test('come in pages, oldest first, each once, from before it was made on', async () => {
    await using place = await journalFolder();
    await written(place);
    const actions: string[] = [];
    let after = 0;
    for (let more = true; more;) {
      const page = await sandboxEvents(place.folder, { sandboxes: [session], after, limit: 5 });
      actions.push(...page.records.map(({ action }) => action));
      expect(page.looked).toBeGreaterThanOrEqual(page.next);
      ({ next: after, more } = page);
    }
    const own = Array.from({ length: 10 }, (_, index) => `exec.${index}`);
    expect(actions).toEqual(['credential.given', 'sandbox.create', ...own]);
    const newest = await newestEvents(place.folder, { sandboxes: [session], limit: 3 });
    expect(newest.map(({ action }) => action)).toEqual(own.slice(-3));
  });

  test('are looked for no further back than to what the caller has', async () => {
    await using place = await journalFolder();
    await written(place);
    const { next, looked } = await sandboxEvents(place.folder, { sandboxes: [session], after: 0, limit: 500 });
    const [first] = await listSegments(place.folder);
    // Whoever opens it fails.
    await rm(first?.path ?? '');
    await mkdir(first?.path ?? '');
    const { records } = await sandboxEvents(place.folder, { sandboxes: [session], after: next - 4, limit: 500 });
    expect(records.map(({ action }) => action)).toEqual(['exec.8', 'exec.9']);
    expect(await sandboxEvents(place.folder, { sandboxes: [session], after: looked, limit: 500 })).toMatchObject({
      records: [],
      next: looked,
      more: false,
    });
    await expect(sandboxEvents(place.folder, { sandboxes: [session], after: 0, limit: 500 })).rejects.toThrow();
  });
});
