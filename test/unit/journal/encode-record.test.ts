import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import { encodeRecord, maxLineBytes, noLine, placeEntry } from '../../../src/journal/encode-record.ts';
import { decodeRecord } from '../../../src/journal/line-grammar.ts';
import type { JournalEntry, JournalRecord } from '../../../src/journal/record.ts';
import { entryOf } from '../../helpers/journal-log.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 30 }).filter((value) => value.isWellFormed()),
  fc.constantFrom(
    '',
    '\u0000',
    '"\\\b\f\n\r\t',
    '\u007f\u0080\u2028',
    'a.test\n{"seq":999,"decision":"allow"}',
    '\u00e9',
    'e\u0301',
  ),
);
const detailName = fc.stringMatching(/^[A-Za-z][\w.-]{0,12}$/);
const fact = fc.oneof(text, fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer());
const record: fc.Arbitrary<JournalRecord> = fc.record({
  seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  time: fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }).map((date) => date.toISOString()),
  previous: fc.stringMatching(/^[0-9a-f]{64}$/),
  actor: text,
  action: fc.constantFrom('net.exchange', 'sandbox.create', 'exec.start'),
  subject: text,
  decision: fc.constantFrom('allow' as const, 'deny' as const, 'none' as const),
  outcome: text,
  sandbox: fc.option(text, { nil: undefined }),
  rule: fc.option(text, { nil: undefined }),
  credential: fc.option(text, { nil: undefined }),
  policy: fc.option(text, { nil: undefined }),
  detail: fc.option(fc.dictionary(detailName, fact, { maxKeys: 8 }), { nil: undefined }),
});

/** What JSON can tell apart: it knows no `undefined`, no `-0` and no null prototype. */
const meaning = (value: JournalRecord): unknown => JSON.parse(JSON.stringify(value));

describe('a line of the journal', () => {
  test('has the bytes that RFC 8785 asks for', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(encodeRecord(value)).toBe(canonicalize(value));
      }),
      { numRuns: 2000 },
    );
  });

  test('is read back as the record it was made from', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(decodeRecord(Buffer.from(encodeRecord(value)))).toEqual(meaning(value));
      }),
      { numRuns: 2000 },
    );
  });

  test('never has the bytes of a different record', () => {
    fc.assert(
      fc.property(record, record, (a, b) => {
        const same = canonicalize(meaning(a)) === canonicalize(meaning(b));
        expect(encodeRecord(a) === encodeRecord(b)).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  test('tells records apart that differ in one place only', () => {
    const names = ['actor', 'subject', 'outcome', 'rule', 'sandbox', 'credential', 'policy'] as const;
    fc.assert(
      fc.property(record, fc.constantFrom(...names), text, (value, name, other) => {
        fc.pre(value[name] !== other);
        expect(encodeRecord({ ...value, [name]: other })).not.toBe(encodeRecord(value));
      }),
      { numRuns: 2000 },
    );
  });

  test('is not read when the details stand in another order or a number is spelt otherwise', () => {
    const names = fc.uniqueArray(detailName, { minLength: 1, maxLength: 5 });
    const value = fc.oneof(
      fact.map((one) => JSON.stringify(one)),
      fc.constantFrom('-0', '1e5', '1.0', '2e+2', '1E+21', '01', '1e-7', '1e+21'),
    );
    fc.assert(
      fc.property(names, fc.array(value, { minLength: 5, maxLength: 5 }), (keys, values) => {
        const detail = `{${keys.map((key, index) => `"${key}":${values[index]}`).join()}}`;
        const line = encodeRecord({
          ...entryOf(1),
          detail: {},
          seq: 1,
          time: '2026-01-01T00:00:00.000Z',
          previous: noLine,
        }).replace('{}', () => detail);
        const isCanonical =
          keys.every((key, index) => index === 0 || key > (keys[index - 1] ?? '')) &&
          values.slice(0, keys.length).every((one) => !['-0', '1e5', '1.0', '2e+2', '1E+21', '01'].includes(one));
        expect(decodeRecord(Buffer.from(line)) !== undefined).toBe(isCanonical);
      }),
      { numRuns: 3000 },
    );
  });

  test('is one line whatever a text holds', () => {
    fc.assert(
      fc.property(text, (subject) => {
        const { line } = placeEntry({ ...entryOf(1), subject }, { seq: 1, time: '2026-01-01T00:00:00.000Z', previous: noLine });
        expect(line).not.toMatch(/[\n\r]/);
      }),
    );
  });
});

describe('an entry that gets its place', () => {
  const place = { seq: 1, time: '2026-01-01T00:00:00.000Z', previous: noLine };

  test('fits into a line however long its texts are, and keeps their length and digest', () => {
    const long = '\u0001'.repeat(100_000);
    const detail = Object.fromEntries(Array.from({ length: 24 }, (_, index) => [`fact${index}`, long]));
    const { line, record: made } = placeEntry(
      { ...entryOf(1), subject: long, actor: long, rule: long, outcome: long, detail },
      place,
    );
    expect(Buffer.byteLength(line)).toBeLessThan(maxLineBytes);
    expect(made.subject).toContain('[100000 characters, sha256 ');
    expect(decodeRecord(Buffer.from(line))).toEqual(made);
  });

  test('has lone surrogates replaced, so that the line is UTF-8', () => {
    expect(placeEntry({ ...entryOf(1), subject: 'a\ud800b' }, place).record.subject).toBe('a\ufffdb');
    expect(placeEntry({ ...entryOf(1), subject: `${'a'.repeat(2047)}\u{1f600}` }, place).record.subject.isWellFormed()).toBe(
      true,
    );
  });

  test.each<[string, Partial<JournalEntry>]>([
    ['a detail name that is a number', { detail: { 10: 'x' } }],
    ['a detail that is not a finite number', { detail: { size: Number.NaN } }],
    ['more than 24 details', { detail: Object.fromEntries(Array.from({ length: 25 }, (_, index) => [`a${index}`, 1])) }],
    ['an action that is not a dotted verb', { action: 'Net Exchange' }],
  ])('is refused with %s', (_, change) => {
    expect(() => placeEntry({ ...entryOf(1), ...change }, place)).toThrow(expect.toSatisfy(isCasemateError));
  });
});
