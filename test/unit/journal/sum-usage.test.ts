import { expect, test } from 'vitest';

import type { JournalRecord } from '../../../src/journal/record.ts';
import { createUsageSum } from '../../../src/journal/sum-usage.ts';

let seq = 0;
const record = (changes: Partial<JournalRecord>): JournalRecord => ({
  seq: (seq += 1),
  time: '2026-01-01T00:00:00.000Z',
  previous: '0'.repeat(64),
  sandbox: 'cm-1',
  actor: 'sandbox',
  action: 'net.exchange',
  subject: 'api.anthropic.com:443',
  decision: 'allow',
  outcome: 'ok',
  ...changes,
});
const model = { model: 'claude-x', account: 'anthropic', inputTokens: 10, outputTokens: 2, spendMicros: 30 };
const sumOf = (records: readonly JournalRecord[]) => {
  const sum = createUsageSum();
  records.forEach(sum.add);
  return sum.rows();
};

test('what one sandbox used of one model with one credential is one row', () => {
  const more = { ...model, cacheReadTokens: 5, cacheWriteTokens: 7 };
  expect(sumOf([record({ detail: model }), record({ detail: more })])).toEqual([
    {
      sandbox: 'cm-1',
      credential: 'anthropic',
      model: 'claude-x',
      requests: 2,
      inputTokens: 20,
      outputTokens: 4,
      cacheReadTokens: 5,
      cacheWriteTokens: 7,
      spendMicros: 60,
      isEstimated: false,
    },
  ]);
});

test('sandboxes, credentials and models are told apart, the dearest first', () => {
  const rows = sumOf([
    record({ detail: model }),
    record({ detail: { ...model, model: 'claude-y', spendMicros: 90 } }),
    record({ detail: { ...model, account: 'other', spendMicros: 60 } }),
    record({ detail: { model: 'claude-x', spendMicros: 50 } }),
    record({ detail: { ...model, spendMicros: 40 }, sandbox: 'cm-2' }),
  ]);
  expect(rows.map((row) => [row.sandbox, row.credential, row.model, row.spendMicros])).toEqual([
    ['cm-1', 'anthropic', 'claude-y', 90],
    ['cm-1', 'other', 'claude-x', 60],
    ['cm-1', undefined, 'claude-x', 50],
    ['cm-2', 'anthropic', 'claude-x', 40],
    ['cm-1', 'anthropic', 'claude-x', 30],
  ]);
});

test('a sandbox has the name that its records tell, told before or after', () => {
  const named = record({ action: 'sandbox.create', subject: 'work', decision: 'none' });
  expect(sumOf([named, record({ detail: model })])[0]?.sandbox).toBe('work');
  expect(sumOf([record({ detail: model }), named])[0]?.sandbox).toBe('work');
});

test.each(['priceUnknown', 'tokensEstimated'])('one part that is no more than an estimate (%s) marks the row', (mark) => {
  const rows = sumOf([record({ detail: { ...model, [mark]: true } }), record({ detail: model })]);
  expect(rows.map(({ isEstimated, requests }) => ({ isEstimated, requests }))).toEqual([{ isEstimated: true, requests: 2 }]);
});

test('what is no exchange with a model is not counted, and a count that is none counts nothing', () => {
  expect(
    sumOf([
      record({ detail: { status: 200 } }),
      record({}),
      record({ action: 'net.open', detail: model }),
      record({ action: 'net.denied', detail: model }),
      record({ detail: { ...model, model: 7 } }),
    ]),
  ).toEqual([]);
  expect(sumOf([record({ detail: { ...model, inputTokens: 'many' } })])[0]).toMatchObject({ inputTokens: 0, outputTokens: 2 });
});
