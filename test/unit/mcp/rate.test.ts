import { expect, it } from 'vitest';

import { createRate } from '../../../src/mcp/rate.ts';

it('a tool may be used so often at once, then as its bucket fills again', () => {
  let now = 0;
  const rate = createRate(() => now);
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
