import { expect, it } from 'vitest';

import { createMessageRoom } from '../../../src/mcp/message-room.ts';

const kib = 1024;

it('messages have room up to a bound for each caller and one for all; short ones always have', () => {
  const room = createMessageRoom(200 * kib, 300 * kib);
  const places = ['ada', 'ada', 'ben', 'cy'].map((caller) => room.enter(caller));
  const grown = (index: number, bytes: number) => places[index]?.grow(bytes)?.status;
  expect(grown(0, 264 * kib)).toBeUndefined();
  expect(grown(1, 64 * kib)).toBeUndefined();
  expect(grown(1, 65 * kib)).toBe(429);
  expect(grown(2, 164 * kib)).toBeUndefined();
  expect(grown(3, 64 * kib)).toBeUndefined();
  expect(grown(3, 65 * kib)).toBe(503);
  places[0]?.leave();
  places[0]?.leave();
  expect(grown(3, 264 * kib)).toBeUndefined();
});

it('what is read after its caller has gone is not counted', () => {
  const room = createMessageRoom(100 * kib, 100 * kib);
  const gone = room.enter('ada');
  gone.leave();
  expect(gone.grow(150 * kib)).toBeUndefined();
  expect(room.enter('ada').grow(150 * kib)).toBeUndefined();
});
