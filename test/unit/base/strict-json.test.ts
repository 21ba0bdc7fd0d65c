import { expect, test } from 'vitest';

import { readStrictJson } from '../../../src/base/strict-json.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** JSON that every reader reads alike, in time that its length bounds: it comes from sandboxes, and all of them wait meanwhile. */

const read = (text: string): unknown => readStrictJson(Buffer.from(text));

test.each([
  ['a string of quotes that does not end', `{"a":"${'\\"'.repeat(500_000)}`],
  ['strings that end in the wrong place', `"${'\\\n"'.repeat(300_000)}`],
  ['a backslash at the end', `{"a":"${'b"'.repeat(100_000)}\\`],
])('%s is none, and is known for it at once', (_, text) => {
  const spent = ownTime();
  expect(read(text)).toBeUndefined();
  expect(spent()).toBeLessThan(3000);
});

test('a long string is read whole, whatever it holds', () => {
  for (const part of ['x', '\n', '"', '\\', 'é']) {
    const value = { a: part.repeat(1_000_000), b: [1, 'c'] };
    expect(read(JSON.stringify(value))).toEqual(value);
  }
});

test.each(['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '[{"b":{"a":1,"a":2}}]', '"', '{"a":"b}', ''])('%s is none', (text) => {
  expect(read(text)).toBeUndefined();
});
