import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

import { createKnownSecrets } from '../../../src/gateway/secrets/known-secrets.ts';
import { phantomSearch } from '../../../src/gateway/secrets/phantom-search.ts';
import { createSecretSearch, maskSecrets, secretIn } from '../../../src/gateway/secrets/secret-search.ts';
import { ownTime } from '../../helpers/own-time.ts';

const value = 'sk-live-9f8e7d6c5b4a39281706f5e4';
const known = createKnownSecrets();
known.add(value, 'x');
const needles = known.needlesFor('cm-1');

/** The plain slow reading that the search is compared with. */
function read(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})/g, (_, one?: string, other?: string) =>
    String.fromCharCode(Number.parseInt(one ?? other ?? '', 16)),
  );
}

function through(text: string, cuts: readonly number[], mode: 'refuse' | 'mask') {
  const found: string[] = [];
  const step = createSecretSearch({ needles, mode, onFound: (label) => found.push(label) });
  const bytes = Buffer.from(text, 'latin1');
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const parts = places.slice(1).map((end, index) => Buffer.from(step.push(Buffer.from(bytes.subarray(places[index], end)))));
  return { out: Buffer.concat([...parts, step.finish()]).toString('latin1'), found };
}

const hex = (letter: string): string => letter.charCodeAt(0).toString(16).padStart(2, '0');
const writings: readonly ((letter: string) => string)[] = [
  (letter) => letter,
  (letter) => `%${hex(letter)}`,
  (letter) => `%${hex(letter).toUpperCase()}`,
  (letter) => `\\u00${hex(letter)}`,
  (letter) => `\\u00${hex(letter).toUpperCase()}`,
];
/** Of base64 the part that depends on the secret alone. */
const forms = [value, Buffer.from(value).toString('base64').slice(0, 42), Buffer.from(value).toString('hex')];

/** A secret, each of its letters written in one way or another. */
const written = fc
  .tuple(fc.constantFrom(...forms), fc.array(fc.nat(writings.length - 1), { minLength: 70, maxLength: 70 }))
  .map(([form, ways]) => Array.from(form, (letter, at) => writings[ways[at] ?? 0]?.(letter) ?? '').join(''));
/** What looks like escapes, or like the beginning of one. */
const filler = fc.string({ unit: fc.constantFrom('%', '\\', 'u', '0', '7', '3', 'a', 's', 'k', '-', 'x', ' '), maxLength: 60 });
const cuts = fc.array(fc.nat(), { maxLength: 12 });

describe('a secret in escapes', () => {
  it('is found however it is written and cut, and nothing of it is through', () => {
    fc.assert(
      fc.property(filler, written, filler, cuts, (before, secret, behind, places) => {
        const text = `${before} ${secret} ${behind}`;
        const { out, found } = through(text, places, 'refuse');
        expect(found).toEqual(['x']);
        expect(text.startsWith(out)).toBe(true);
        expect(out.length).toBeLessThanOrEqual(before.length + 1);
      }),
      { numRuns: 2000 },
    );
  });

  it('is made unreadable where it is masked, the bytes around it as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(filler, written), { maxLength: 4 }), filler, cuts, (parts, behind, places) => {
        const text = `${parts.map(([before, secret]) => `${before} ${secret} `).join('')}${behind}`;
        const expected = `${parts.map(([before, secret]) => `${before} ${'*'.repeat(secret.length)} `).join('')}${behind}`;
        expect(through(text, places, 'mask').out).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('all else is through as it was', () => {
    fc.assert(
      fc.property(fc.array(filler, { maxLength: 8 }), cuts, (parts, places) => {
        const text = parts.join(`${value.slice(0, 20)}%`);
        fc.pre(!read(text).includes(value));
        expect(through(text, places, 'refuse')).toEqual({ out: text, found: [] });
      }),
      { numRuns: 2000 },
    );
  });

  it('far from other escapes it is found as well', () => {
    const secret = Array.from(value, (letter) => `%${hex(letter)}`).join('');
    for (const distance of [0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 500, 5000]) {
      const gap = 'x'.repeat(distance);
      expect(through(`%41${gap}${secret}`, [], 'refuse').found, `${distance}`).toEqual(['x']);
      expect(through(`%41${gap}${value.slice(0, -1)}%34`, [], 'refuse').found, `${distance}`).toEqual(['x']);
      expect(through(`\\u0041${gap}%73${value.slice(1)}${gap}%41`, [distance], 'refuse').found, `${distance}`).toEqual(['x']);
    }
  });

  it('in a short text it is found and made unreadable', () => {
    const secret = Array.from(value, (letter) => `\\u00${hex(letter)}`).join('');
    expect(secretIn(`dropbox-api-arg: {"path":"${secret}"}`, needles)).toBe('x');
    expect(maskSecrets(`/a/%73${value.slice(1)}`, needles)).toBe(`/a/${'*'.repeat(value.length + 2)}`);
  });
});

test('a stand-in in base64 is found as a form writes it', () => {
  const phantom = 'sk-ant-api03->>>???~~~-0123456789';
  const coded = Buffer.from(phantom).toString('base64');
  expect(coded).toMatch(/[+/]/);
  const form = new URLSearchParams({ a: coded }).toString();
  const found: string[] = [];
  createSecretSearch({ needles: phantomSearch([phantom]), mode: 'mask', onFound: (label) => found.push(label) }).push(
    Buffer.from(form),
  );
  expect(found).toEqual(['']);
});

test.each([
  ['signs of escapes that are none', '%%%%\\u\\u%u'],
  ['one escape after the other', '%41%42'],
  ['an escape now and then', `%41${'x'.repeat(200)}`],
  ['the same secret over and over', Array.from(value, (letter) => `%${hex(letter)}`).join('')],
  ['the beginning of a secret over and over', '%73%6b%2dlive-9'],
])('%s: content is searched in time that its length bounds', (_, unit) => {
  const step = createSecretSearch({ needles, mode: 'mask', onFound: () => undefined });
  const piece = Buffer.alloc(1024 * 1024, unit);
  const spent = ownTime();
  step.push(piece);
  expect(spent()).toBeLessThan(5000);
});
