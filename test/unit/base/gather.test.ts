import fc from 'fast-check';
import { expect, test } from 'vitest';

import { gather, gathered } from '../../../src/base/gather.ts';

test('what was added comes out in order, whatever the pieces and whenever it is taken', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(fc.integer({ min: 4000, max: 20_000 }), fc.nat(255)).map(([length, byte]) => Buffer.alloc(length, byte)),
  );
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: piece }, fc.constant('take' as const))), (steps) => {
      const gathered = gather();
      const out: Buffer[] = [];
      for (const step of steps) {
        if (step === 'take') {
          out.push(gathered.take());
          expect(gathered.size()).toBe(0);
        } else {
          gathered.add(step);
        }
      }
      out.push(gathered.take());
      const given = steps.filter((step) => step !== 'take');
      expect(Buffer.concat(out).equals(Buffer.concat(given))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('small pieces do not keep the block they were cut from', () => {
  const gathered = gather();
  const piece = Buffer.from('ab');
  gathered.add(piece);
  piece.fill(0);
  expect(gathered.take().toString()).toBe('ab');
});

test('a stream is gathered whole in as much memory as it is long, and not beyond its bound', async () => {
  const letters = async function* (count: number, after: () => void): AsyncGenerator<Buffer> {
    for (let index = 0; index < count; index += 1) {
      yield Buffer.alloc(1, 'x');
    }
    after();
  };
  const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().external;
  const before = used();
  let meanwhile = 0;
  const whole = await gathered(
    letters(500_000, () => {
      meanwhile = used() - before;
    }),
    500_000,
  );
  expect(whole?.equals(Buffer.alloc(500_000, 'x'))).toBe(true);
  expect(meanwhile).toBeLessThan(80_000_000);
  expect(
    await gathered(
      letters(11, () => undefined),
      10,
    ),
  ).toBeUndefined();
});
