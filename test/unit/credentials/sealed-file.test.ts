import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  formatSealedFile,
  keysFrom,
  openEntry,
  parseSealedFile,
  sealEntry,
  type SealedFile,
} from '../../../src/credentials/sealed/sealed-file.ts';

/** The form of sealed values: what was sealed comes back, and nothing that was changed does. */

const keys = keysFrom(Buffer.alloc(32, 7));
const others = keysFrom(Buffer.alloc(32, 8));
const value = 'value-that-must-not-be-seen';
const entry = sealEntry({ kind: 'credential', name: 'github', note: { provider: 'github' }, text: value }, keys);
const file: SealedFile = { key: { place: 'file', id: keys.id }, entries: [entry] };

test('a sealed text comes back with its own key and with no other', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const sealed = sealEntry({ kind: 'credential', name: 'a', note: {}, text }, keys);
      expect(openEntry(sealed, keys)).toBe(text);
      expect(openEntry(sealed, others)).toBeUndefined();
    }),
  );
});

test('the same value is sealed differently each time, and stands nowhere in the file', () => {
  const again = sealEntry({ kind: 'credential', name: 'github', note: { provider: 'github' }, text: value }, keys);
  expect(again.nonce).not.toBe(entry.nonce);
  expect(again.sealed).not.toBe(entry.sealed);
  expect(formatSealedFile(file, keys)).not.toContain(value);
});

test.each([
  ['another name', { name: 'gitlab' }],
  ['another kind', { kind: 'login' }],
  ['another note', { note: { provider: 'header' } }],
  ['another nonce', { nonce: Buffer.alloc(12).toString('base64') }],
  ['a nonce of another length', { nonce: Buffer.alloc(16).toString('base64') }],
  ['a shorter value', { sealed: entry.sealed.slice(0, 8) }],
  ['a value with one bit changed', { sealed: flipped(entry.sealed) }],
])('%s does not open', (_, change) => {
  expect(openEntry({ ...entry, ...change }, keys)).toBeUndefined();
});

test('a file comes back whole, and an entry taken out, doubled or put first is seen', () => {
  const second = sealEntry({ kind: 'credential', name: 'npm', note: {}, text: 'x' }, keys);
  const text = formatSealedFile({ ...file, entries: [entry, second] }, keys);
  expect(isWhole(text)).toBe(true);
  const parsed = JSON.parse(text) as { entries: unknown[] };
  for (const entries of [[entry], [entry, entry, second], [second, entry], []]) {
    expect(isWhole(JSON.stringify({ ...parsed, entries }))).toBe(false);
  }
});

test('no cut of a file is taken for whole, and no text is a fault of ours', () => {
  const text = formatSealedFile(file, keys).trimEnd();
  for (let end = 0; end < text.length; end += 1) {
    expect(isWhole(text.slice(0, end))).toBe(false);
  }
  fc.assert(
    fc.property(fc.string(), (any) => {
      expect(parseSealedFile(any).ok).toBe(false);
    }),
  );
});

test('a file of a later version is told from a damaged one', () => {
  const later = JSON.stringify({ format: 'casemate sealed values', version: 2, more: [] });
  expect(parseSealedFile(later)).toEqual({ ok: false, fault: 'later version' });
  expect(parseSealedFile('{}')).toEqual({ ok: false, fault: 'damaged' });
});

function isWhole(text: string): boolean {
  const parsed = parseSealedFile(text);
  return parsed.ok && parsed.isWhole(keys);
}

function flipped(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  bytes.writeUInt8(bytes.readUInt8(3) ^ 1, 3);
  return bytes.toString('base64');
}
