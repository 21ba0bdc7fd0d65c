import { describe, expect, test } from 'vitest';

import { createPace } from '../../../src/gateway/bodies/pace.ts';

describe('the share of a sandbox', () => {
  const KiB = 1024;
  test('is used up by so many bytes in a turn, and whole again in the next', () => {
    const turns: (() => void)[] = [];
    const pace = createPace((work) => void turns.push(work));
    expect(Array.from({ length: 17 }, () => pace.take(64 * KiB)).indexOf(false)).toBe(7);
    turns.shift()?.();
    expect(pace.take(64 * KiB)).toBe(true);
  });

  test('wakes those who wait in their order, a few in each turn, and all in the end', () => {
    const turns: (() => void)[] = [];
    const pace = createPace((work) => void turns.push(work));
    const woken: number[] = [];
    pace.take(2048 * KiB);
    for (let nth = 0; nth < 40; nth += 1) {
      pace.later(() => woken.push(nth));
    }
    turns.shift()?.();
    expect(woken).toEqual(Array.from({ length: 8 }, (_, nth) => nth));
    while (turns.length > 0) {
      turns.shift()?.();
    }
    expect(woken).toEqual(Array.from({ length: 40 }, (_, nth) => nth));
  });
});
