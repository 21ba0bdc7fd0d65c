import { describe, expect, test } from 'vitest';

import { createRecorder, type Effect } from '../../../src/gateway/records.ts';
import type { Journal, JournalEntry } from '../../../src/journal/record.ts';

function setUp() {
  const entries: JournalEntry[] = [];
  const state = { fails: false, failures: 0 };
  const journal: Journal = {
    async append(entry) {
      if (state.fails) {
        throw new Error('full');
      }
      entries.push(entry);
      return { ...entry, seq: 1, time: '', previous: '' };
    },
    credentialHash: () => 'hash',
    checkpoint: async () => undefined,
    close: async () => undefined,
  };
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  const recorder = createRecorder({
    journal,
    sandboxId: 'cm-1',
    policyHash: () => 'p',
    clock,
    onFailure: () => (state.failures += 1),
  });
  return { recorder, entries, state };
}

const effect: Effect = { subject: 'a.example.com:443', rule: 'r', credential: 'hash', detail: { exchange: 1 } };

describe('the record of an exchange', () => {
  test('is a permission and an end under one number', async () => {
    const { recorder, entries } = setUp();
    expect(await recorder.open(effect)).toBe(true);
    recorder.end(effect, 'ok', { status: 200 });
    await recorder.flush();
    expect(entries).toMatchObject([
      {
        action: 'net.open',
        decision: 'allow',
        sandbox: 'cm-1',
        policy: 'p',
        rule: 'r',
        credential: 'hash',
        detail: { exchange: 1 },
      },
      { action: 'net.exchange', decision: 'allow', outcome: 'ok', detail: { exchange: 1, status: 200 } },
    ]);
  });

  test('is waited for where its sandbox ends, and an end that comes late is written at once', async () => {
    const { recorder, entries } = setUp();
    await recorder.open(effect);
    await recorder.open({ ...effect, detail: { exchange: 2 } });
    expect(recorder.unended()).toBe(2);
    recorder.end(effect, 'ok', {});
    expect(recorder.unended()).toBe(1);
    await recorder.flush();
    expect(entries).toHaveLength(3);
    recorder.end(effect, 'cut', {});
    expect(entries).toHaveLength(4);
    expect(recorder.unended()).toBe(0);
  });

  test('has its end on disk with the next line, before it', async () => {
    const { recorder, entries } = setUp();
    await recorder.open(effect);
    recorder.end(effect, 'ok', { status: 200 });
    expect(entries).toHaveLength(1);
    const next = recorder.open({ ...effect, detail: { exchange: 2 } });
    expect(entries.map(({ action, detail }) => [action, detail?.['exchange']])).toEqual([
      ['net.open', 1],
      ['net.exchange', 1],
      ['net.open', 2],
    ]);
    await next;
  });

  test('has its end on disk where no line follows, too', async () => {
    const { recorder, entries } = setUp();
    recorder.end(effect, 'ok', { status: 200 });
    await expect.poll(() => entries.length, { timeout: 20_000 }).toBe(1);
    recorder.end(effect, 'ok', { status: 200 });
    await expect.poll(() => entries.length, { timeout: 20_000 }).toBe(2);
  });

  test('that cannot be written is told', async () => {
    const { recorder, state } = setUp();
    state.fails = true;
    expect(await recorder.open(effect)).toBe(false);
    await recorder.deny(effect, { reason: 'x' });
    expect(state.failures).toBe(2);
  });
});

test('a flood of denials is counted exactly: some lines, then one for each kind', async () => {
  const { recorder, entries } = setUp();
  for (let index = 0; index < 1000; index += 1) {
    await recorder.deny({ subject: `h${index % 400}.example.net:443`, detail: {} }, { reason: 'host-not-allowed' });
  }
  await recorder.flush();
  expect(entries.reduce((sum, { detail }) => sum + Number(detail?.['repeated'] ?? 1), 0)).toBe(1000);
  expect(entries.length).toBeLessThanOrEqual(20 + 257);
  expect(entries.some(({ subject }) => subject === 'several')).toBe(true);
});
