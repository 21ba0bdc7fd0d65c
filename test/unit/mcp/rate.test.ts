import { expect, it } from 'vitest';

import { createRate } from '../../../src/mcp/rate.ts';

it('a tool may be used so often at once, then as its bucket fills again', () => {
  let now = 0;
  const rate = createRate({ nowMs: () => now });
  for (let index = 0; index < 10; index += 1) {
    rate.take('create_session');
  }
  expect(() => rate.take('create_session')).toThrow('create_session was called too often; try again in 6000 ms');
  rate.take('list_sessions');
  now = 5000;
  expect(() => rate.take('create_session')).toThrow('try again in 1000 ms');
  now = 6000;
  rate.take('create_session');
  expect(() => rate.take('create_session')).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }));
  expect(() => rate.take('__proto__')).not.toThrow();
});

it('a long answer counts as several', () => {
  let now = 0;
  const rate = createRate({ nowMs: () => now });
  for (let call = 0; call < 4; call += 1) {
    rate.take('destroy_session', 5);
  }
  rate.take('destroy_session', 0);
  expect(() => rate.take('destroy_session')).toThrow('try again in 1000 ms');
  now = 4000;
  expect(() => rate.take('destroy_session', 5)).toThrow('try again in 1000 ms');
  now = 5000;
  rate.take('destroy_session', 5);
});

it('an answer longer than a bucket is still had in time', () => {
  let now = 0;
  const rate = createRate({ nowMs: () => now });
  rate.take('destroy_session');
  rate.take('destroy_session', 500);
  expect(() => rate.take('destroy_session')).toThrow('try again in 1000 ms');
  now = 20_000;
  rate.take('destroy_session');
  rate.take('destroy_session', 500);
});

it('a pace allows so many times as much, and as often', () => {
  let now = 0;
  const rate = createRate({ pace: 3, nowMs: () => now });
  for (let call = 0; call < 30; call += 1) {
    rate.take('create_session');
  }
  expect(() => rate.take('create_session')).toThrow('try again in 2000 ms');
  now += 2000;
  rate.take('create_session');
});
