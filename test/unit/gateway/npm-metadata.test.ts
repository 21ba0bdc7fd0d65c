import fc from 'fast-check';
import { expect, test } from 'vitest';

import { filterNpm } from '../../../src/gateway/guards/npm-metadata.ts';
import { memberRanges, valueIn } from '../../../src/gateway/http/json-ranges.ts';
import { inTurns } from '../../../src/gateway/in-turns.ts';

const day = 86_400_000;
const nowMs = Date.parse('2026-01-31T00:00:00Z');

/** A package with a version a day, the newest first. */
function documentOf(count: number, bytesEach = 10): Buffer {
  const names = Array.from({ length: count }, (_, nth) => `1.0.${count - nth}`);
  return Buffer.from(
    JSON.stringify({
      name: 'big',
      'dist-tags': { latest: names[0] },
      versions: Object.fromEntries(names.map((one) => [one, { name: 'big', version: one, text: 'x'.repeat(bytesEach) }])),
      time: Object.fromEntries(names.map((one, nth) => [one, new Date(nowMs - nth * day).toISOString()])),
    }),
  );
}

const context = {
  rules: [{ minAgeMs: 3 * day, allow: [], block: [], origin: { layer: 'user', source: 'test' } }],
  locked: new Set<string>(),
  nowMs,
} as const;

test('what is too young is left out, and latest moves to the newest that is not', async () => {
  const found = await inTurns(filterNpm(documentOf(10), context));
  expect([...(found?.withheld.keys() ?? [])]).toEqual(['1.0.10', '1.0.9', '1.0.8']);
  expect(JSON.parse(found?.body.toString('utf8') ?? '')).toMatchObject({ 'dist-tags': { latest: '1.0.7' } });
});

test('a version of a lock file is offered, and never becomes the latest', async () => {
  const found = await inTurns(filterNpm(documentOf(10), { ...context, locked: new Set(['npm:big@1.0.9']) }));
  expect(found?.offered).toContain('1.0.9');
  expect(JSON.parse(found?.body.toString('utf8') ?? '')).toMatchObject({ 'dist-tags': { latest: '1.0.7' } });
});

test('the metadata of a large package is read in pieces', async () => {
  let pieces = 0;
  let ticks = 0;
  const nextTurn = (goOn: () => void): void => {
    pieces += 1;
    goOn();
  };
  // A clock that moves on with each look: every place where the work may be interrupted is one.
  await inTurns(filterNpm(documentOf(500, 2000), context), { nowMs: () => (ticks += 8), pieceMs: 8, nextTurn });
  // A megabyte of document, 500 versions judged and 500 compared.
  expect(pieces).toBeGreaterThan(1000);
});

test('members are found where JSON.parse finds them, whatever their names and values hold', async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), fc.boolean(), async (object, isSpaced) => {
      const data = Buffer.from(JSON.stringify(object, undefined, isSpaced ? 2 : 0));
      const members = (await inTurns(memberRanges(data))) ?? [];
      const read = JSON.parse(data.toString('utf8')) as Readonly<Record<string, unknown>>;
      expect(members.map((member) => [member.name, valueIn(data, member)])).toEqual(Object.entries(read));
    }),
  );
});
