import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { nearest, terminalSafeJson, visible, visibleLines } from '../../../src/base/text.ts';

describe('visible', () => {
  it('shows terminal escapes, C1 controls, bidirectional and zero-width characters as text', () => {
    expect(visible('\u001b]52;c;eA==\u0007')).toBe('\\x1b]52;c;eA==\\x07');
    expect(visible('a\u009b31m')).toBe('a\\x9b31m');
    expect(visible('gpj\u202eexe')).toBe('gpj\\u{202e}exe');
    expect(visible('.g\u200cit')).toBe('.g\\u{200c}it');
  });

  it('never lets a control character through, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visible(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
      }),
    );
  });

  it('leaves no format character of Unicode, here and in JSON: each of them is asked for', () => {
    const all = Array.from({ length: 0x11_0000 }, (_, code) => code).filter((code) => code < 0xd800 || code > 0xdfff);
    const format = all.map((code) => String.fromCodePoint(code)).filter((one) => /[\p{Cf}\p{Zl}\p{Zp}]/u.test(one));
    expect(format).toContain('\u206c');
    expect(format.map(visible).filter((shown) => !/^(?:\\u\{[0-9a-f]+\}|\\x[0-9a-f]{2})$/.test(shown))).toEqual([]);
    const json = terminalSafeJson(JSON.stringify(format));
    expect(json).toMatch(/^[ -~]*$/);
    expect(JSON.parse(json)).toEqual(format);
  });

  it('keeps line feeds and tabs where lines are meant', () => {
    expect(visibleLines('a\tb\nc\u001b[2J')).toBe('a\tb\nc\\x1b[2J');
  });
});

describe('nearest', () => {
  it('finds the likely meant word and stays silent when nothing is near', () => {
    expect(nearest('memroy', ['memory', 'cpus'])).toBe('memory');
    expect(nearest('zzzzzz', ['memory', 'cpus'])).toBeUndefined();
  });
});

describe('JSON for a terminal', () => {
  it('means the same and holds no character that drives a terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const safe = terminalSafeJson(JSON.stringify(text));
        expect(JSON.parse(safe)).toBe(text);
        expect(safe).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b-\u200f]/);
      }),
    );
  });
});
