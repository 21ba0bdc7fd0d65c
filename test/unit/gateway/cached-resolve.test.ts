import { expect, test } from 'vitest';

import { cachedResolve } from '../../../src/gateway/upstream/cached-resolve.ts';

function setUp(answers: (() => Promise<readonly string[]>)[], limit = 10) {
  const state = { nowMs: 0, asked: [] as string[] };
  const resolve = cachedResolve(
    (host) => {
      state.asked.push(host);
      return (answers.shift() ?? (async () => ['192.0.2.9']))();
    },
    { nowMs: () => state.nowMs, keptMs: 1000, limit },
  );
  return { resolve, state };
}

test('a name is asked for once, by all who ask at the same time and for a moment after', async () => {
  const { resolve, state } = setUp([async () => ['192.0.2.1']]);
  expect(await Promise.all([resolve('a.example.com'), resolve('a.example.com')])).toEqual([['192.0.2.1'], ['192.0.2.1']]);
  state.nowMs = 999;
  expect(await resolve('a.example.com')).toEqual(['192.0.2.1']);
  expect(state.asked).toEqual(['a.example.com']);
});

test('after that moment the new answer counts', async () => {
  const { resolve, state } = setUp([async () => ['192.0.2.1'], async () => ['192.0.2.2']]);
  await resolve('a.example.com');
  state.nowMs = 1000;
  expect(await resolve('a.example.com')).toEqual(['192.0.2.2']);
});

test('what fails or finds nothing is not kept', async () => {
  const failing = async (): Promise<readonly string[]> => Promise.reject(new Error('no answer'));
  const { resolve } = setUp([failing, async () => [], async () => ['192.0.2.3']]);
  await expect(resolve('a.example.com')).rejects.toThrow('no answer');
  expect(await resolve('a.example.com')).toEqual([]);
  expect(await resolve('a.example.com')).toEqual(['192.0.2.3']);
});

test('no more names are kept than the limit says, and no name answers for another', async () => {
  const { resolve, state } = setUp([async () => ['192.0.2.1'], async () => ['192.0.2.2'], async () => ['192.0.2.3']], 2);
  expect([await resolve('a.example.com'), await resolve('b.example.com'), await resolve('c.example.com')]).toEqual([
    ['192.0.2.1'],
    ['192.0.2.2'],
    ['192.0.2.3'],
  ]);
  await resolve('b.example.com');
  await resolve('a.example.com');
  expect(state.asked).toEqual(['a.example.com', 'b.example.com', 'c.example.com', 'a.example.com']);
});
