import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { canonicalHost, parseHost } from '../../../src/base/host.ts';

describe('canonicalHost', () => {
  it.each([
    ['API.Example.com', 'api.example.com'],
    ['api.example.com.', 'api.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['ＡＰＩ.example.com', 'api.example.com'],
  ])('brings %s into canonical form', (written, canonical) => {
    expect(canonicalHost(written)).toBe(canonical);
  });

  it.each([
    '',
    '.',
    '..',
    'a..b',
    '-a.com',
    'a-.com',
    'a b.com',
    'a/b',
    'a:443',
    'user@host',
    'a%00.com',
    'a\u0000.com',
    'a\r\n.com',
    'a#.com',
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '2130706433',
    '0x7f000001',
    '017700000001',
    'example.0x1',
    '::1',
    '[::1]',
    'a.com..',
    '*.com',
    `${'a'.repeat(64)}.com`,
    `${'a.'.repeat(127)}a`,
    'fe80::1%lo',
    'ex\u00adample.com\u202e',
    'a\\b.com',
    '１２７.0.0.1',
  ])('has no canonical form for %j', (written) => {
    expect(canonicalHost(written)).toBeUndefined();
  });

  it('is stable: its own answer is its own canonical form, and never an address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ maxLength: 40 }), fc.ipV4(), fc.ipV6()), (text) => {
        const host = canonicalHost(text);
        if (host !== undefined) {
          expect(canonicalHost(host)).toBe(host);
          expect(isIP(host)).toBe(0);
          expect(new URL(`http://${host}/`).hostname).toBe(host);
        }
      }),
    );
  });

  it.each(['xn--google-.com', 'a.xn--.com', 'xn--abc-.test', 'xn--0.test', 'xn--bcher-kva.xn--zz.test', 'xn--a-ecp.ru'])(
    '%s only looks as if it stood for a name in Unicode',
    (written) => {
      expect(canonicalHost(written)).toBeUndefined();
      expect(canonicalHost('xn--bcher-kva.example')).toBe('xn--bcher-kva.example');
    },
  );

  it('is refused by name, with the control characters shown', () => {
    expect(() => parseHost('a\u001b[2J')).toThrow('"a\\x1b[2J" is not a host name');
  });
});
