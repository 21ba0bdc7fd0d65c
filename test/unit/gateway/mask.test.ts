import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { passWhole } from '../../../src/gateway/bodies/body-steps.ts';
import { createMask, joinNeedles, maskText, prepareNeedles } from '../../../src/gateway/secrets/mask.ts';
import { needlesOf } from '../../../src/gateway/secrets/needles.ts';

const key = 'sk-ant-api03-Abc/+=%20def';

function through(pieces: readonly Buffer[], needles: readonly Buffer[]): string {
  const mask = createMask(prepareNeedles(needles));
  // A copy of each piece: the mask may write into what it is given.
  return Buffer.concat([...pieces.map((piece) => Buffer.from(mask.push(Buffer.from(piece)))), mask.finish()]).toString('latin1');
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
}

describe('a secret in a stream', () => {
  test('is found however the stream is cut', () => {
    const needles = [Buffer.from('secret-one'), Buffer.from('secret-two'), Buffer.from('abab')];
    const text = fc
      .array(fc.constantFrom('secret-one', 'secret-two', 'secret-', 'sec', 'abab', 'aba', 'x', 'one', 's'), { maxLength: 12 })
      .map((parts) => Buffer.from(parts.join('')));
    fc.assert(
      fc.property(text, fc.array(fc.nat(200), { maxLength: 12 }), (bytes, at) => {
        const expected = bytes.toString('latin1').replaceAll(/secret-one|secret-two|abab/g, (found) => '*'.repeat(found.length));
        expect(through(cut(bytes, at), needles)).toBe(expected);
        expect(passWhole(createMask(prepareNeedles(needles)), Buffer.from(bytes)).toString('latin1')).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('is found in binary data of any length', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.uint8Array({ minLength: 3, maxLength: 12 }),
        fc.array(fc.nat(500)),
        (noise, needle, at) => {
          const secret = Buffer.from(needle);
          const bytes = Buffer.concat([Buffer.from(noise), secret, Buffer.from(noise)]);
          const out = Buffer.from(through(cut(bytes, at), [secret]), 'latin1');
          expect(out.length).toBe(bytes.length);
          expect(out.equals(Buffer.from(through([bytes], [secret]), 'latin1'))).toBe(true);
          if (!secret.every((byte) => byte === 0x2a)) {
            expect(out.includes(secret)).toBe(false);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('of several is found, whichever were asked for before', () => {
    const [one, two, three] = ['secret-one', 'secret-two', 'secret-three'].map((text) => prepareNeedles([Buffer.from(text)]));
    for (const [asked, expected] of [
      [[one, two], '********** ********** secret-three'],
      [[one, three], '********** secret-two ************'],
      [[one], '********** secret-two secret-three'],
      [[one, two], '********** ********** secret-three'],
      [[], 'secret-one secret-two secret-three'],
    ] as const) {
      const needles = joinNeedles(asked.flatMap((part) => part ?? []));
      expect(maskText('secret-one secret-two secret-three', needles)).toBe(expected);
      expect(passWhole(createMask(needles), Buffer.from('secret-one secret-two secret-three')).toString()).toBe(expected);
    }
  });

  test('holds back nothing but what may be its beginning', () => {
    const mask = createMask(prepareNeedles([Buffer.from('secret')]));
    expect(mask.push(Buffer.from('data: 1\n\n')).toString()).toBe('data: 1\n\n');
    expect(mask.push(Buffer.from('data: se')).toString()).toBe('data: ');
    expect(mask.push(Buffer.from('t\n\n')).toString()).toBe('set\n\n');
    expect(mask.push(Buffer.from('secre')).toString()).toBe('');
    expect(mask.finish().toString()).toBe('secre');
    expect(mask.hits()).toBe(0);
  });
});

describe('the forms of a secret', () => {
  test('are masked wherever it stands in an encoded text', () => {
    const needles = needlesOf(key);
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.constantFrom<BufferEncoding[]>('base64', 'base64url', 'hex', 'latin1'),
        (before, after, coding) => {
          const text = Buffer.from(before + key + after).toString(coding);
          const masked = maskText(text, needles);
          expect(masked).toHaveLength(text.length);
          const back = Buffer.from(masked.replaceAll('*', coding === 'hex' ? '0' : 'A'), coding).toString('latin1');
          expect(back.includes(key.slice(2, -2))).toBe(false);
        },
      ),
    );
    for (const form of [encodeURIComponent(key), JSON.stringify(key), Buffer.from(key).toString('hex').toUpperCase()]) {
      expect(maskText(form, needles).replaceAll(/[*"]/g, '')).toBe('');
    }
  });

  test('of a short secret are not searched for: they would be found by chance', () => {
    expect(needlesOf('short').sought).toEqual([]);
  });
});
