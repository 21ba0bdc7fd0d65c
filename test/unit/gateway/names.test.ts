import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { createNames, isServed } from '../../../src/gateway/names/names.ts';
import { rule } from '../../helpers/network-rule.ts';

const rules = [rule('api.example.com'), rule('*.wild.example.com')];
const table = (sandboxId = 'cm-1', limit = 10) => createNames({ sandboxId, rules: () => rules, limit, allowedLimit: 2 });

describe('the table of names', () => {
  test('gives each name one address, and each address back its name', () => {
    const names = table('cm-1', 2000);
    const seen = new Map<string, string>();
    for (let index = 0; index < 1500; index += 1) {
      const host = parseHost(`h${index}.example.net`);
      const address = names.addressOf(host) ?? '';
      expect(seen.has(address)).toBe(false);
      seen.set(address, host);
      expect(names.nameAt(address)).toBe(host);
      expect(names.addressOf(host)).toBe(address);
      expect(address).not.toMatch(/\.(?:0|255)$/);
    }
  });

  test('is the same after a restart, whatever was asked first, and another one for another sandbox', () => {
    const hosts = ['a.example.net', 'b.example.net', 'api.example.com'].map(parseHost);
    const first = table();
    const second = table();
    const forward = hosts.map((host) => first.addressOf(host));
    const backward = hosts
      .toReversed()
      .map((host) => second.addressOf(host))
      .toReversed();
    expect(forward).toEqual(backward);
    expect(table('cm-2').addressOf(parseHost('a.example.net'))).not.toBe(forward[0]);
  });

  test('is bounded, with room of their own for allowed names', () => {
    const names = table('cm-1', 3);
    const some = ['a', 'b', 'c', 'd'].map((name) => names.addressOf(parseHost(`${name}.example.net`)));
    expect(some.slice(0, 3).every((address) => address !== undefined)).toBe(true);
    expect(some[3]).toBeUndefined();
    expect(names.addressOf(parseHost('api.example.com'))).toBeDefined();
    expect(['a', 'b', 'c'].map((name) => names.addressOf(parseHost(`${name}.wild.example.com`)) !== undefined)).toEqual([
      true,
      true,
      false,
    ]);
    expect(names.addressOf(parseHost('a.example.net'))).toBe(some[0]);
  });

  test('knows no name for any other address or text', () => {
    const names = table();
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (text) =>
        [undefined, 'api.example.com'].includes(names.nameAt(text)),
      ),
    );
    expect(names.nameAt('127.0.0.1')).toBeUndefined();
  });
});

test('single labels and reserved suffixes are served only where a rule names them', () => {
  const served = (name: string, some = rules): boolean => isServed(parseHost(name), some);
  expect(['db', 'a.local', 'a.localhost', 'x.onion', 'a.internal'].map((name) => served(name))).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
  expect(served('db', [rule('db')])).toBe(true);
  expect(served('registry.internal', [rule('registry.internal')])).toBe(true);
  expect(served('a.example.com')).toBe(true);
});
