import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { jsonMembers } from '../../../src/gateway/http/json-members.ts';
import { decodedName, formParts, isSameName, queryParts } from '../../../src/gateway/http/query.ts';
import { placeForParameter } from '../../../src/gateway/http/replace-parameter.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** Finding the one member or parameter that a credential goes to, in whatever text a sandbox sends. */

describe('members of a JSON object', () => {
  test('have the places of their values, for every object and every way to write it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t', ' \n'), (object, indent) => {
        const text = `\n ${JSON.stringify(object, undefined, indent)} `;
        const members = jsonMembers(text);
        const again = members?.map(({ name, start, end }) => [name, JSON.parse(text.slice(start, end)) as unknown]);
        const parsed: unknown = JSON.parse(text);
        expect(again).toEqual(typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : undefined);
      }),
    );
  });

  test('come twice where they are written twice, however the name is escaped', () => {
    expect(jsonMembers('{"a":1,"\\u0061":2}')?.map(({ name }) => name)).toEqual(['a', 'a']);
  });

  test('are none of anything else, and no text takes long', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const isObject = /^\s*\{/.test(text);
        expect(isObject || jsonMembers(text) === undefined).toBe(true);
      }),
    );
    for (const text of ['[]', '1', 'null', '"{}"', '', '{', '{"a":1}x', '{"a":1,}', "{'a':1}", '{a:1}']) {
      expect(jsonMembers(text)).toBeUndefined();
    }
    const usedMs = ownTime();
    jsonMembers(`{"a":${'['.repeat(5000)}${']'.repeat(5000)},"b":"${'\\"'.repeat(200_000)}"}`);
    jsonMembers(`{${'"'.repeat(400_000)}`);
    expect(usedMs()).toBeLessThan(500);
  });
});

describe('the parameter', () => {
  const options = { parameter: 'key', phantoms: ['stand-in'] };
  const name = fc.stringMatching(/^[a-j]{1,5}$/);
  const value = fc.stringMatching(/^[A-Za-z0-9%]{0,6}$/).map(encodeURIComponent);

  test('is put behind the others, or in the place of the phantom, and the others stay as they are', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.array(fc.tuple(name, value)), fc.boolean(), (first, second, isThere) => {
        const write = (pairs: readonly (readonly [string, string])[]): string[] => pairs.map(([one, two]) => `${one}=${two}`);
        const text = [...write(first), ...(isThere ? ['key=stand-in'] : []), ...write(second)].join('&');
        const found = placeForParameter(text, options);
        const wanted = isThere
          ? [...write(first), 'key=NEW', ...write(second)].join('&')
          : [...write(first), ...write(second), 'key=NEW'].join('&');
        expect(found.ok ? `${found.before}NEW${found.after}` : found.fault).toBe(wanted);
      }),
    );
  });

  test.each([
    ['key=other', 'foreign'],
    ['key=', 'foreign'],
    ['key', 'foreign'],
    ['key=stand-in&key=stand-in', 'foreign'],
    ['KEY=stand-in', 'foreign'],
    ['key[]=stand-in', 'foreign'],
    ['a=1;key=stand-in', 'foreign'],
    ['%6bey=other', 'foreign'],
    ['a=%', 'unreadable'],
    ['a=%ff', 'unreadable'],
    ['%=key', 'unreadable'],
  ])('%s is refused as %s', (text, fault) => {
    expect(placeForParameter(text, options)).toEqual({ ok: false, fault });
  });

  test('never goes beside another of its name, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = placeForParameter(text, options);
        const whole = found.ok ? `${found.before}NEW${found.after}` : '';
        const own = formParts(whole).filter((part) => isSameName(decodedName(part.name), 'key'));
        expect(own.length).toBe(found.ok ? 1 : 0);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['api_key', 'API-KEY', true],
    ['api_key', 'api.key', true],
    ['api_key', 'api_key[0]', true],
    ['key', '\u{ff4b}ey', true],
    ['key', ' key', true],
    ['key', 'keys', false],
    ['key', 'my_key', false],
  ])('%s and %s are the same to a lenient server: %s', (a, b, same) => {
    expect(isSameName(a, b)).toBe(same);
  });

  test('of a target without a query there is none', () => {
    expect(queryParts('/x')).toEqual([]);
    expect(queryParts('/x?')).toEqual([]);
    expect(queryParts('/x?a?b=c').map((part) => part.name)).toEqual(['a?b']);
  });
});
