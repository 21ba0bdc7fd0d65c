import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { openJournal } from '../../src/journal/open-journal.ts';
import { journalFolder } from '../helpers/journal-folder.ts';

/** A first writer may be killed before its opening is signed and witnessed: nothing was reported then, and the next begins anew. */
describe('a journal whose first writer was killed', () => {
  let lines: readonly string[];
  beforeAll(async () => {
    await using place = await journalFolder();
    await (await openJournal(place)).close();
    lines = (await readFile(join(place.folder, 'journal-000001.jsonl'), 'utf8')).split('\n');
  });

  /** What opening it answers, with this as its only file and no witness. */
  async function opened(content: string): Promise<string> {
    await using place = await journalFolder();
    await (await openJournal(place)).close();
    const file = join(place.folder, 'journal-000001.jsonl');
    await writeFile(file, content);
    await rm(place.witnessPath);
    try {
      await (await openJournal(place)).close();
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
    // A second writer finds what the first one left as any other does.
    await (await openJournal(place)).close();
    return 'opened';
  }

  test.each([
    ['nothing', () => ''],
    ['a byte of its opening', () => '{'],
    ['half of its opening', () => (lines[0] ?? '').slice(0, 60)],
    ['its opening without the end of the line', () => lines[0] ?? ''],
    ['its opening', () => `${lines[0]}\n`],
    ['its opening and half of the signature', () => `${lines[0]}\n${(lines[1] ?? '').slice(0, 90)}`],
  ])('with %s in it is begun anew', async (_what, content) => {
    expect(await opened(content())).toBe('opened');
  });

  test.each([
    ['another record', () => `${(lines[0] ?? '').replace('journal.opened', 'sandbox.create')}\n`],
    ['an opening that is not the first', () => `${(lines[0] ?? '').replace('"seq":1', '"seq":2')}\n`],
    ['an opening that had a witness', () => `${(lines[0] ?? '').replace('absent', 'matched')}\n`],
    ['a second record', () => `${lines[0]}\n${lines[0]}\n`],
    ['half of another record behind its opening', () => `${lines[0]}\n{"action":"sandbox.cre`],
    ['something else', () => 'hello'],
  ])('with %s in it is damaged', async (_what, content) => {
    expect(await opened(content())).toBe('JOURNAL_INVALID');
  });

  test('is damaged where a witness knows of more', async () => {
    await using place = await journalFolder();
    await (await openJournal(place)).close();
    await writeFile(join(place.folder, 'journal-000001.jsonl'), `${lines[0]}\n`);
    await expect(openJournal(place)).rejects.toMatchObject({ code: 'JOURNAL_INVALID' });
  });
});
