import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { allDone } from '../../../src/base/all-done.ts';

it('gives the results in the order of the steps', async () => {
  expect(await allDone([sleep(2, 'slow'), Promise.resolve(7)])).toEqual(['slow', 7]);
});

it('throws the first fault by order, and only when the last step has ended', async () => {
  let ended = false;
  const slow = sleep(5).then(() => {
    ended = true;
    throw new Error('first');
  });
  await expect(allDone([slow, Promise.reject(new Error('second'))])).rejects.toThrow('first');
  expect(ended).toBe(true);
});

it('has ended every step when another has failed', async () => {
  let ended = false;
  const slow = sleep(5).then(() => {
    ended = true;
  });
  await expect(allDone([Promise.reject(new Error('at once')), slow])).rejects.toThrow('at once');
  expect(ended).toBe(true);
});
