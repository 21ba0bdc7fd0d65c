import fc from 'fast-check';
import { expect, test } from 'vitest';

import { gather } from '../../../src/base/gather.ts';

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
