/** The statistic that the table of measurements shows. */
import { expect, test } from 'vitest';

import { blocked, median } from '../../../bench/result.ts';

test.each<[readonly number[], number | undefined]>([
  [[], undefined],
  [[3], 3],
  [[9, 1, 5], 5],
  [[4, 1, 3, 2], 2.5],
])('the median of %j is %s', (samples, expected) => {
  expect(median(samples)).toBe(expected);
});

test('what could not be measured holds a reason and no number', () => {
  expect(blocked('a', 'ms', 'no engine')).toEqual({ name: 'a', unit: 'ms', samples: [], blocked: 'no engine' });
});
