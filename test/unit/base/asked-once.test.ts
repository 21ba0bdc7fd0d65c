import { expect, it } from 'vitest';

import { askedOnce } from '../../../src/base/asked-once.ts';

it('asks once for all who ask, and anew after a fault', async () => {
  let times = 0;
  const number = askedOnce(async () => {
    times += 1;
    if (times === 1) {
      throw new Error('not now');
    }
    return times;
  });
  const first = await Promise.allSettled([number(), number()]);
  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await Promise.all([number(), number()])).toEqual([2, 2]);
  expect(await number()).toBe(2);
});
