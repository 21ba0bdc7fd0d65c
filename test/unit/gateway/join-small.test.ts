import { Readable } from 'node:stream';

import { expect, test } from 'vitest';

import { joinSmall } from '../../../src/gateway/bodies/join-small.ts';

function joined(): { readonly stream: Readable; readonly pieces: string[] } {
  const stream = new Readable({ read: () => undefined });
  joinSmall(stream);
  const pieces: string[] = [];
  stream.on('data', (piece: Buffer) => void pieces.push(piece.toString('latin1')));
  return { stream, pieces };
}

const put = (stream: Readable, text: string): boolean => stream.push(Buffer.from(text, 'latin1'));
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('few small pieces go on as they are, what comes behind them in the same turn is one', async () => {
  const { stream, pieces } = joined();
  const text = 'abcdefghijklmnopqrstuvwxyz';
  Array.from(text, (letter) => put(stream, letter));
  await nextTurn();
  await nextTurn();
  expect(pieces.join('')).toBe(text);
  expect(pieces.length).toBeLessThanOrEqual(9);
  put(stream, '1');
  await nextTurn();
  expect(pieces.at(-1)).toBe('1');
});

test('larger pieces and the end keep their place', async () => {
  const { stream, pieces } = joined();
  const large = 'L'.repeat(2000);
  const small = 's'.repeat(20);
  const ended = new Promise((resolve) => stream.once('end', resolve));
  Array.from(small, (letter) => put(stream, letter));
  put(stream, large);
  Array.from(small, (letter) => put(stream, letter));
  stream.push(null);
  await ended;
  expect(pieces.join('')).toBe(small + large + small);
});

test('what nobody takes is said to be too much, and is kept in few pieces', async () => {
  const stream = new Readable({ read: () => undefined, highWaterMark: 40_000 });
  joinSmall(stream);
  const took = Array.from({ length: 60_000 }, () => put(stream, 'x'));
  expect(took.indexOf(false)).toBe(39_999);
  await nextTurn();
  await nextTurn();
  let count = 0;
  stream.on('data', () => (count += 1));
  stream.push(null);
  await new Promise((resolve) => stream.once('end', resolve));
  expect(count).toBeLessThan(20);
});

test('of a stream that was broken off nothing more comes', async () => {
  const { stream, pieces } = joined();
  stream.on('error', () => undefined);
  Array.from('a'.repeat(20), (letter) => put(stream, letter));
  await nextTurn();
  const before = pieces.join('').length;
  Array.from('b'.repeat(20), (letter) => put(stream, letter));
  stream.destroy(new Error('broken off'));
  await nextTurn();
  expect(pieces.join('').length).toBeLessThan(before + 20);
});
