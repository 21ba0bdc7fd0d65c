import { PassThrough } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { createPace, type Pace } from '../../../src/gateway/bodies/pace.ts';
import { pump } from '../../../src/gateway/bodies/pump.ts';

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

describe('a piece that takes long', () => {
  test('counts by its time, one that does not by its length', async () => {
    const counted = async (workMs: number): Promise<number> => {
      let sum = 0;
      const pace: Pace = {
        take(bytes) {
          sum += bytes;
          return true;
        },
        later: (goOn) => goOn(),
      };
      const push = (piece: Buffer): Buffer => {
        for (const startedMs = performance.now(); performance.now() - startedMs < workMs;) {
          // as a search of very many frames would
        }
        return piece;
      };
      const source = new PassThrough();
      const target = new PassThrough();
      target.resume();
      const done = pump(source, target, { step: { push, finish: () => Buffer.alloc(0) }, pace });
      source.write(Buffer.alloc(1000));
      source.end();
      await done;
      return sum;
    };
    expect(await counted(20)).toBeGreaterThanOrEqual(20 * 64 * 1024);
    expect(await counted(0)).toBeGreaterThanOrEqual(1000);
  });
});
