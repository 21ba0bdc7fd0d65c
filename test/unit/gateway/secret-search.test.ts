import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { passWhole } from '../../../src/gateway/bodies/body-steps.ts';
import { createKnownSecrets, isTelling } from '../../../src/gateway/secrets/known-secrets.ts';
import { needleSet } from '../../../src/gateway/secrets/needle-search.ts';
import { createSecretSearch, secretIn } from '../../../src/gateway/secrets/secret-search.ts';

const value = 'sk-live-9f8e7d6c5b4a39281706f5e4';

function knowing(...values: readonly string[]) {
  const known = createKnownSecrets();
  values.forEach((one, index) => known.add(one, `credential ${index}`));
  return known.needlesFor('cm-1');
}

function through(text: string, cuts: readonly number[], mode: 'refuse' | 'mask' = 'refuse') {
  const found: string[] = [];
  const step = createSecretSearch({ needles: knowing(value), mode, onFound: (label) => found.push(label) });
  const bytes = Buffer.from(text, 'latin1');
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const parts = places.slice(1).map((end, index) => Buffer.from(step.push(Buffer.from(bytes.subarray(places[index], end)))));
  return { out: Buffer.concat([...parts, step.finish()]).toString('latin1'), found };
}

describe('known secrets in content on its way out', () => {
  it.each([
    ['as it is', value],
    ['in base64', Buffer.from(value).toString('base64')],
    ['in base64 behind one byte', Buffer.from(`x${value}`).toString('base64')],
    ['in base64 behind two bytes', Buffer.from(`xy${value}z`).toString('base64url')],
    ['in hexadecimal', Buffer.from(value).toString('hex')],
    ['in capital hexadecimal', Buffer.from(value).toString('hex').toUpperCase()],
  ])('%s nothing of it is through, whatever the pieces', (_form, text) => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 40 }),
        fc.string({ maxLength: 40 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (a, b, cuts) => {
          const { out, found } = through(`${a}${text}${b}`, cuts);
          expect(found).toEqual(['credential 0']);
          expect(`${a}${text}${b}`.startsWith(out) || Buffer.from(a, 'latin1').toString('latin1').startsWith(out)).toBe(true);
          expect(out.length).toBeLessThanOrEqual(a.length + 6);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('what is there as a whole is read as its pieces are', () => {
    const parts = fc.constantFrom(value, value.slice(0, 9), value.slice(9), '\\u0073', '%73', '%', '\\u00', 'x', '');
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 6 }), fc.constantFrom('refuse', 'mask'), (texts, mode) => {
        const found: string[] = [];
        const step = createSecretSearch({ needles: knowing(value), mode, onFound: (label) => found.push(label) });
        const out = passWhole(step, Buffer.from(texts.join(''))).toString();
        const pieces = through(texts.join(''), [], mode);
        expect({ out: found.length > 0 && mode === 'refuse' ? '' : out, found }).toEqual({
          ...pieces,
          out: pieces.found.length > 0 && mode === 'refuse' ? '' : pieces.out,
        });
        expect(mode === 'refuse' && found.length > 0 ? out : '').toBe('');
      }),
      { numRuns: 500 },
    );
  });

  it('everything else is through as it was, however it is cut', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.array(fc.nat(), { maxLength: 8 }), (text, cuts) => {
        const latin = Buffer.from(text, 'utf8').toString('latin1');
        expect(through(latin, cuts)).toEqual({ out: latin, found: [] });
      }),
    );
    const nearly = `${value.slice(0, -1)}X${value.slice(0, 20)}`;
    expect(through(nearly, [3, 9, 31, 40])).toEqual({ out: nearly, found: [] });
  });

  it('masked, each is made unreadable and lengths stay', () => {
    const { out, found } = through(`a ${value} b ${value} c`, [5, 20, 50], 'mask');
    expect(out).toBe(`a ${'*'.repeat(value.length)} b ${'*'.repeat(value.length)} c`);
    expect(found).toEqual(['credential 0']);
  });

  it('in a header or a target it is found, escaped or not', () => {
    const needles = knowing(value);
    expect(secretIn(`/x?y=${value}`, needles)).toBe('credential 0');
    expect(secretIn(`/x?y=%73${value.slice(1)}`, needles)).toBe('credential 0');
    expect(secretIn('/x?y=nothing', needles)).toBeUndefined();
  });
});

describe('what is looked for', () => {
  it('is long and mixed enough not to stand anywhere by chance', () => {
    for (const weak of ['', 'short', 'aaaaaaaaaaaaaaaaaaaa', 'passwordpass', '000000000000']) {
      expect(isTelling(weak)).toBe(false);
    }
    for (const strong of [
      value,
      'correct horse battery staple',
      'AKIAIOSFODNN7EXAMPLE',
      '3f9a1c77-02de-4b1a-9b7e-000000000001',
    ]) {
      expect(isTelling(strong)).toBe(true);
    }
  });

  it("one sandbox's project is not looked for in another's requests, and is forgotten with it", () => {
    const known = createKnownSecrets();
    known.addFor('cm-1', [{ value, label: '.env TOKEN' }]);
    expect(secretIn(value, known.needlesFor('cm-1'))).toBe('.env TOKEN');
    expect(secretIn(value, known.needlesFor('cm-2'))).toBeUndefined();
    known.forget('cm-1');
    expect(secretIn(value, known.needlesFor('cm-1'))).toBeUndefined();
  });

  it('a value added later is found from then on, for every sandbox', () => {
    const known = createKnownSecrets();
    expect(secretIn(value, known.needlesFor('cm-1'))).toBeUndefined();
    known.add(value, 'credential github');
    expect(secretIn(value, known.needlesFor('cm-1'))).toBe('credential github');
  });
});

describe('the search for many needles', () => {
  it('finds the first that is there, as a search one by one does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 3, maxLength: 9 }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 120 }),
        fc.nat(20),
        (needles, text, from) => {
          const set = needleSet(needles.map((one) => ({ bytes: Buffer.from(one), label: one })));
          const first = needles.map((one) => text.indexOf(one, from)).filter((at) => at >= 0);
          expect(set.find(Buffer.from(text), from)?.at).toBe(first.length === 0 ? undefined : Math.min(...first));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
