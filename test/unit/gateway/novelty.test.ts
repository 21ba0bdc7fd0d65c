import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { expect, test } from 'vitest';

import { createNovelty } from '../../../src/gateway/guards/novelty.ts';
import { createPackageMemory } from '../../../src/gateway/guards/package-memory.ts';
import { createRecent } from '../../../src/gateway/secrets/recent.ts';
import { systemClock } from '../../../src/system/clock.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function usedMiB(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed / 1024 ** 2;
}

const novelty = (): ReturnType<typeof createNovelty> => createNovelty({ characters: 1024, perMinute: 0, clock: systemClock });
const count = 512;
/** Part of a text of 128 KiB, as a path is of the head of its request. */
function part(index: number): string {
  const head = Buffer.alloc(128 * 1024, `GET /a-name-that-is-long-enough-${index} `).toString('latin1');
  return head.slice(4, 4 + `/a-name-that-is-long-enough-${index}`.length);
}

test.each<[string, () => (text: string) => unknown]>([
  [
    'paths that cost nothing',
    () => {
      const known = novelty();
      return (text) => {
        known.learn('registry', text, 'free');
        return known;
      };
    },
  ],
  [
    'files of packages',
    () => {
      const memory = createPackageMemory();
      return (text) => {
        memory.remember(new Map(), [text], 0);
        return memory;
      };
    },
  ],
  ['texts seen last', () => createRecent((text) => text.length, 2 * count)],
])('of %s no more is kept than they are themselves', (_what, make) => {
  const keep = make();
  keep(part(count));
  const before = usedMiB();
  const kept = Array.from({ length: count }, (_, index) => keep(part(index)));
  // 64 MiB, if each kept what it was taken from.
  expect(usedMiB() - before).toBeLessThan(16);
  expect(kept.length).toBe(count);
});

test('what is known is bounded by its length, too', () => {
  const known = novelty();
  const long = (index: number): string => `${index}`.padEnd(1024 * 1024, '/');
  for (let index = 0; index < 20; index += 1) {
    known.learn('registry', long(index), 'free');
  }
  known.learn('registry', 'x'.repeat(2000), 'paid');
  expect([known.isOpen('registry', long(0)), known.isOpen('registry', long(19))]).toEqual([true, false]);
});
