import { expect, it } from 'vitest';

import { eventCursor } from '../../../src/engines/docker/event-cursor.ts';

it('asks from the newest that was told on, and takes nothing twice', () => {
  const cursor = eventCursor(() => 5000);
  expect(cursor.connect()).toBeUndefined();
  expect(['7.000000002', '7.000000001', '6.000000000'].map(cursor.isAhead)).toEqual([true, true, true]);
  expect(cursor.connect()).toBe('7.000000002');
  expect(['7.000000001', '7.000000002', '7.000000003'].map(cursor.isAhead)).toEqual([false, false, true]);
});

it('asks from the first connection on where that told nothing', () => {
  let nowMs = 5250;
  const cursor = eventCursor(() => nowMs);
  expect(cursor.connect()).toBeUndefined();
  nowMs = 90_000;
  expect(cursor.connect()).toBe('5.250000000');
  expect(cursor.connect()).toBe('5.250000000');
  expect(cursor.isAhead('6.000000000')).toBe(true);
  expect(cursor.connect()).toBe('6.000000000');
});
