import { describe, expect, it } from 'vitest';

import { hostileBytes, hostileText } from '../../../src/proof/attacks/hostile-text.ts';
import { drivingPieces } from '../../../src/proof/outside/driving.ts';

const pieces = (text: string): readonly string[] => drivingPieces(Buffer.from(text));

describe('what drives a terminal', () => {
  it.each([
    ['an escape', 'a\u001B]52;c;eA==\u0007'],
    ['an 8-bit control', 'a\u009B31m'],
    ['a carriage return within a line', 'a\rb'],
    ['a backspace', 'a\bb'],
    ['an override of the direction', 'a\u202Eb'],
    ['a separator of lines', 'a\u2028b'],
    ['a colour', '\u001B[31ma\u001B[39m'],
    ['a cleared screen', '\u001B[2J'],
  ])('is found: %s', (_, text) => {
    expect(pieces(text)).not.toEqual([]);
  });

  it('is found in bytes that are no UTF-8', () => {
    expect(drivingPieces(Buffer.from([0x61, 0x9b, 0x32, 0x4a]))).toEqual(['\\u{9b}2J']);
    expect(drivingPieces(hostileBytes('m'))).not.toEqual([]);
  });

  it('is all of the hostile text', () => {
    expect(pieces(hostileText('m')).length).toBeGreaterThan(15);
  });

  it.each([
    'one\ntwo\tthree\n',
    'one\r\ntwo\r\r\n',
    '\r\u001B[2K.. title',
    '\u001B[1G\u001B[0JAllow? [y/N] \u001B[15G',
    'Grüße ✓',
  ])('is nothing of our own: %j', (text) => {
    expect(pieces(text)).toEqual([]);
  });
});
