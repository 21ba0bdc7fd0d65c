import { expect, test } from 'vitest';

import type { JournalRecord } from '../../../src/journal/record.ts';
import { commandsOnRecord, lastOfLife } from '../../../src/sandbox/recorded/on-record.ts';

/** What the journal already tells of a step that a kill cut off. */

function journal(entries: readonly Partial<JournalRecord>[]) {
  let looked = 0;
  const rows = entries.map((entry, index): JournalRecord => ({
    actor: 'daemon',
    action: '',
    subject: 'x',
    decision: 'none',
    outcome: 'ok',
    seq: index + 1,
    time: '',
    previous: '',
    ...entry,
  }));
  return {
    async *newestFirst() {
      for (const row of rows.toReversed()) {
        looked += 1;
        yield row;
      }
    },
    looked: () => looked,
  };
}

const command = (action: string, execution: string): Partial<JournalRecord> => ({ action, sandbox: 'a', detail: { execution } });

test('the last record of a life is that of the sandbox itself, whatever came after it', async () => {
  const entries = [
    { action: 'sandbox.create', sandbox: 'a' },
    { action: 'sandbox.stop', sandbox: 'b' },
    command('exec.start', 'one'),
    { action: 'journal.checkpoint' },
  ];
  expect(await lastOfLife(journal(entries), 'a')).toBe('sandbox.create');
  expect(await lastOfLife(journal(entries), 'c')).toBeUndefined();
});

test('of commands both ends are known, and nothing before the oldest beginning is read', async () => {
  const log = journal([
    command('exec.start', 'other'),
    command('exec.start', 'one'),
    command('exec.start', 'two'),
    command('exec.end', 'one'),
    { action: 'net.exchange', detail: { execution: 'three' } },
  ]);
  const { begun, ended } = await commandsOnRecord(log, ['one', 'two']);
  expect([[...begun].toSorted(), [...ended]]).toEqual([['one', 'two'], ['one']]);
  expect(log.looked()).toBe(4);
  expect((await commandsOnRecord(journal([]), ['one'])).begun.size).toBe(0);
});

test('without a question nothing is read', async () => {
  const log = journal([command('exec.start', 'one')]);
  await commandsOnRecord(log, []);
  expect(log.looked()).toBe(0);
});
