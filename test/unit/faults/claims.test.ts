import { expect, test } from 'vitest';

import type { Line } from '../../faults/accounts.ts';
import { claimFaults } from '../../faults/step.ts';

const line = (outcome: string): Line => ({ seq: 1, time: '', action: 'credential.set', subject: 'key', outcome });
const faults = (outcomes: readonly string[], isReported: boolean): number =>
  claimFaults(outcomes.map(line), [{ action: 'credential.set', subject: 'key', isReported }]).length;

test('what was reported has one record; what was not has none, one, or one that is taken back', () => {
  expect([faults(['ok'], true), faults([], false), faults(['ok'], false), faults(['ok', 'failed'], false)]).toEqual([0, 0, 0, 0]);
  expect([faults([], true), faults(['ok', 'ok'], true), faults(['ok', 'failed'], true)]).toEqual([1, 1, 1]);
  expect([faults(['ok', 'ok'], false), faults(['failed', 'ok'], false), faults(['ok', 'failed', 'failed'], false)]).toEqual([
    1, 1, 1,
  ]);
});
