import { randomBytes } from 'node:crypto';

import { expect, test } from 'vitest';

import { createKnownSecrets } from '../../../src/gateway/secrets/known-secrets.ts';
import { createSecretSearch } from '../../../src/gateway/secrets/secret-search.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** Env files come with the project: values in them that were chosen to keep the search busy must not. */

const text = (length: number): string => randomBytes(length).toString('base64').slice(0, length);

test.each([
  ['one very long value', ['a'.repeat(128 * 1024) + text(100 * 1024)], 'a'],
  ['many values that begin alike', Array.from({ length: 512 }, () => `${'a'.repeat(30)}${text(200)}`), 'a'],
])('%s: content is searched in time that its length bounds, and what is sought is found', (_, values, filler) => {
  const known = createKnownSecrets();
  known.addFor(
    'one',
    values.map((value) => ({ value, label: 'x' })),
  );
  const found: string[] = [];
  const search = createSecretSearch({ needles: known.needlesFor('one'), mode: 'refuse', onFound: (label) => found.push(label) });
  const spent = ownTime();
  for (let piece = 0; piece < 4; piece += 1) {
    search.push(Buffer.alloc(65_536, filler));
  }
  expect(spent()).toBeLessThan(5000);
  expect(found).toEqual([]);
  search.push(Buffer.from(values[0] ?? ''));
  expect(found).toEqual(['x']);
});
