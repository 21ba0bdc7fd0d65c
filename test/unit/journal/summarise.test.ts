import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { otherKeys, summariser } from '../../../src/journal/summarise.ts';

describe('the summariser', () => {
  test('lets the first of a second through and counts the rest exactly', () => {
    const { allow, drain } = summariser({ perSecond: 5 });
    const passed = Array.from({ length: 20_000 }, (_, index) => allow('cm-1 deny', 1000 + index / 100)).filter(Boolean).length;
    expect(passed).toBe(5);
    expect(drain(1500)).toEqual([]);
    expect(drain(2300)).toEqual([{ key: 'cm-1 deny', count: 19_995, fromMs: 1000.05, untilMs: 1199.99 }]);
    expect(drain(9000)).toEqual([]);
  });

  test('keeps keys apart', () => {
    const { allow } = summariser({ perSecond: 1 });
    expect([allow('a', 0), allow('a', 0), allow('b', 0)]).toEqual([true, false, true]);
  });

  test('counts events of too many keys together, so that made-up keys take no memory', () => {
    const { allow, drain } = summariser({ perSecond: 1, maxKeys: 2 });
    for (let index = 0; index < 100; index += 1) {
      allow(`d${index}.denied.test`, 0);
    }
    expect(drain(Number.POSITIVE_INFINITY)).toEqual([{ key: otherKeys, count: 97, fromMs: 0, untilMs: 0 }]);
  });

  test('loses no event, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 5000 }))), (events) => {
        const { allow, drain } = summariser({ perSecond: 2, maxKeys: 2 });
        let told = 0;
        for (const [key, nowMs] of events) {
          told += allow(key, nowMs) ? 1 : 0;
          told += drain(nowMs).reduce((sum, { count }) => sum + count, 0);
        }
        told += drain(Number.POSITIVE_INFINITY).reduce((sum, { count }) => sum + count, 0);
        expect(told).toBe(events.length);
      }),
    );
  });
});
