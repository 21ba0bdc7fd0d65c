import { once } from 'node:events';
import { PassThrough } from 'node:stream';

import { expect, test } from 'vitest';

import { ContentStream } from '../../../src/gateway/bodies/content-stream.ts';
import { pump } from '../../../src/gateway/bodies/pump.ts';

const idle = { more: () => undefined, left: () => undefined };

function body(...pieces: readonly string[]): ContentStream {
  const one = new ContentStream(idle);
  pieces.forEach((piece) => one.add(Buffer.from(piece)));
  return one;
}

test('what is there as a whole is had at once, and once', () => {
  const one = body('whole');
  expect(one.takeWhole()).toBeUndefined();
  one.finish();
  expect(one.takeWhole()?.toString()).toBe('whole');
  expect(one.takeWhole()).toBeUndefined();
});

test('what came in pieces, broke off or was begun to be read stays a stream', async () => {
  const pieces = body('a', 'b');
  pieces.finish();
  expect(pieces.takeWhole()).toBeUndefined();
  const broken = body('a');
  broken.breakOff();
  expect(broken.takeWhole()).toBeUndefined();
  const begun = body('a');
  begun.finish();
  begun.once('data', () => undefined);
  await once(begun, 'end');
  expect(begun.takeWhole()).toBeUndefined();
});

test.each([
  ['as a whole', ['key=secret']],
  ['in pieces', ['key=', 'secret']],
])('%s it passes the same steps', async (_how, pieces) => {
  const one = body(...pieces);
  one.finish();
  const target = new PassThrough();
  let counted = 0;
  let isBefore = false;
  await pump(one, target, {
    step: { push: (piece) => Buffer.from(piece.toString().toUpperCase()), finish: () => Buffer.from('.') },
    onBytes: (count) => (counted += count),
    beforeEnd: () => (isBefore = true),
  });
  expect(target.read()?.toString()).toBe('KEY=SECRET.');
  expect([counted, isBefore]).toEqual([10, true]);
});

test('a step that refuses the whole ends nothing well', async () => {
  const one = body('key');
  one.finish();
  const target = new PassThrough();
  const refuse = (): never => {
    throw new Error('refused');
  };
  await expect(pump(one, target, { step: { push: refuse, finish: refuse } })).rejects.toThrow('refused');
  expect(target.writableEnded).toBe(false);
});

test('what came before a break is seen, and then the break', async () => {
  const one = body('half');
  one.breakOff();
  const target = new PassThrough();
  await expect(pump(one, target)).rejects.toThrow('the answer was cut');
  expect(target.read()?.toString()).toBe('half');
  // Who comes late hears of it, too, and does not wait.
  await expect(pump(one, new PassThrough())).rejects.toThrow('the source was cut');
});
