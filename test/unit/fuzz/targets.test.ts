import { describe, expect, test } from 'vitest';

import { fuzz, type FuzzTarget } from '../../fuzz/fuzz.ts';
import { targets } from '../../fuzz/targets.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** A short run of each; `npm run fuzz` goes on from there. */
describe('a parser', () => {
  test.each(targets.map((target): [string, FuzzTarget] => [target.name, target]))('%s keeps its promises', (_name, target) => {
    const { find } = fuzz(target, { seed: 20_261, runs: 1500, seconds: 5 });
    const told = find === undefined ? undefined : `${String(find.error)} for ${JSON.stringify(find.input.toString('latin1'))}`;
    expect(told).toBeUndefined();
  });
});

describe('the fuzzer', () => {
  const broken: FuzzTarget = {
    name: 'broken',
    seeds: ['abc'],
    words: ['!'],
    run: (input) => {
      if (input.includes('!')) {
        throw new Error('found');
      }
    },
  };
  test('finds what is broken, and the same again with the same seed', () => {
    const first = fuzz(broken, { seed: 1, runs: 5000, seconds: 5 });
    expect(first.find?.input.includes('!')).toBe(true);
    expect(fuzz(broken, { seed: 1, runs: 5000, seconds: 5 }).find?.input).toEqual(first.find?.input);
  });

  test('takes a parser that is slow for broken', () => {
    const slow: FuzzTarget = {
      ...broken,
      run: () => {
        const spent = ownTime();
        while (spent() < 520);
      },
    };
    expect(String(fuzz(slow, { seed: 1, runs: 10, seconds: 5 }).find?.error)).toContain('took');
  });
});
