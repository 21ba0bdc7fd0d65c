import { describe, expect, it } from 'vitest';

import { heldBytes } from '../../helpers/held-bytes.ts';
import { lineSplitter } from '../../../src/base/line-splitter.ts';

/** What the lines of a text are, in pieces of this size; `-` for one that is too long. */
function split(text: string, step: number, maxBytes = 100): readonly string[] {
  const lines = lineSplitter(maxBytes);
  const bytes = Buffer.from(text);
  const shown: string[] = [];
  for (let from = 0; from < bytes.length; from += step) {
    shown.push(...lines.take(bytes.subarray(from, from + step)).map((line) => line?.toString() ?? '-'));
  }
  return [...shown, lines.rest()?.toString() ?? 'nothing'];
}

describe('lines of bytes that come in pieces', () => {
  it.each([1, 2, 3, 5, 7, 1000])('are the same in pieces of %i', (step) => {
    expect(split('one\nzwö\n\na\u2028b\r\nlast', step)).toEqual(['one', 'zwö', '', 'a\u2028b\r', 'last']);
    expect(split('one\n', step)).toEqual(['one', 'nothing']);
  });
  it.each([1, 4, 1000])('are told of once where they are too long, and the next is whole, in pieces of %i', (step) => {
    expect(split('12345\n123456\n123\n123456789012', step, 5)).toEqual(['12345', '-', '123', '-', 'nothing']);
  });
  it('take little more memory than they are long, though they come byte by byte', () => {
    const lines = lineSplitter(1024 * 1024);
    expect(heldBytes(1_000_000, (piece) => void lines.take(piece))).toBeLessThan(100_000_000);
    expect(lines.rest()?.length).toBe(1_000_000);
  });
});
