import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

import { asObject } from '../../../src/base/json.ts';
import { asksForOther, isMethodParameter } from '../../../src/gateway/exchange/rewriting.ts';
import { createFormScan } from '../../../src/gateway/http/form-scan.ts';
import { createJsonMemberScan } from '../../../src/gateway/http/json-member-scan.ts';
import { createMultipartScan } from '../../../src/gateway/http/multipart-scan.ts';
import { ownTime } from '../../helpers/own-time.ts';
import { decodedName, formParts } from '../../../src/gateway/http/query.ts';

const sought = {
  isSought: isMethodParameter,
  isRefused: (_: string, value: string) => asksForOther(value, 'POST'),
};
type Scan = (data: Buffer, isLast: boolean) => number;

/** What goes on, and whether it was refused. */
function through(scan: Scan, text: string, cuts: readonly number[] = []): { out: string; isRefused: boolean } {
  const bytes = Buffer.from(text, 'latin1');
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  let held = '';
  let out = '';
  for (let index = 1; index <= places.length; index += 1) {
    const isLast = index === places.length;
    const data = Buffer.from(`${held}${isLast ? '' : bytes.toString('latin1', places[index - 1], places[index])}`, 'latin1');
    const end = scan(data, isLast);
    if (end === -1) {
      return { out, isRefused: true };
    }
    out += data.toString('latin1', 0, end);
    held = data.toString('latin1', end);
  }
  return { out, isRefused: false };
}

const cuts = fc.array(fc.nat(), { maxLength: 10 });
const piece = fc.constantFrom(
  '_method',
  '_Method',
  '%5fmethod',
  '_method[]',
  '=',
  '&',
  ';',
  'DELETE',
  'post',
  'a',
  '+',
  '%20',
  '%',
  ' ',
  'x_http_method',
);

describe('a form that asks for another method', () => {
  it('is refused exactly where its parts say so, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), cuts, (pieces, places) => {
        const text = pieces.join('');
        // The form may be read with `;` as a separator, or without.
        const isOther = text
          .split(/[&;]/)
          .flatMap((part) => formParts(part))
          .some(({ name, value }) => isMethodParameter(decodedName(name)) && asksForOther(decodedName(value), 'POST'));
        const { out, isRefused } = through(createFormScan(sought), text, places);
        expect(isRefused).toBe(isOther);
        expect(isOther ? text.startsWith(out) : out === text).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    '_method=DELETE',
    `a=${'x'.repeat(5000)}&_method=DELETE&b=1`,
    `${'+'.repeat(1000)}_method=DELETE`,
    `a&${'%20'.repeat(1000)}_method=DELETE`,
    `_method[${'x'.repeat(1000)}]=DELETE`,
    `_method${'+'.repeat(1000)}=DELETE`,
    `_method=${'%20'.repeat(1000)}DELETE`,
    Array.from('_method', (letter) => `%${letter.charCodeAt(0).toString(16)}`).join('') + '=%44ELETE',
    '_method',
  ])('%.40s', (text) => {
    for (const places of [[], [1], [3, 4, 5, 6, 7, 8, 9], Array.from({ length: text.length }, (_, at) => at)]) {
      const { out, isRefused } = through(createFormScan(sought), text, places);
      expect(isRefused).toBe(true);
      expect(out).not.toContain('DELETE');
    }
  });

  test.each(['_method=post', 'a=_method%3DDELETE', '{"_method":"x"}', `{"text":"${'y'.repeat(3000)}"}`, 'method=DELETE', ''])(
    'goes on: %.40s',
    (text) => {
      expect(through(createFormScan(sought), text, [2, 5])).toEqual({ out: text, isRefused: false });
    },
  );
});

describe('a form of several parts', () => {
  const multipart = (...parts: readonly (readonly [string, string])[]): string =>
    `${parts.map(([head, content]) => `--XX\r\n${head}\r\n\r\n${content}\r\n`).join('')}--XX--\r\n`;
  const scan = (type = 'multipart/form-data; boundary=XX'): Scan => {
    const made = createMultipartScan(type, sought);
    if (made === 'unreadable') {
      throw new Error('unreadable');
    }
    return made;
  };
  const file = [
    'Content-Disposition: form-data; name="f"; filename="name=_method"',
    '<input name="_method" value="x">\r\n\r\n--X',
  ] as const;

  test.each([
    ['quoted', 'Content-Disposition: form-data; name="_method"', 'DELETE'],
    ['bare', 'content-disposition:form-data;name=_method', 'DELETE'],
    ['extended', "Content-Disposition: form-data; name*=utf-8''%5fmethod", 'DELETE'],
    ['escaped', 'Content-Disposition: form-data; name="\\_method"', 'DELETE'],
    ['in brackets', 'Content-Disposition: form-data; name="_method[]"', 'DELETE'],
    ['behind another', 'Content-Type: text/plain\r\nContent-Disposition: form-data; name="_method"', 'delete'],
    ['long', 'Content-Disposition: form-data; name="_method"', `${' '.repeat(1000)}DELETE`],
  ])('a field whose name is %s is refused, however it is cut', (_, head, content) => {
    const text = multipart(file, [head, content], file);
    fc.assert(
      fc.property(cuts, (places) => {
        const { out, isRefused } = through(scan(), text, places);
        expect(isRefused).toBe(true);
        expect(out.toUpperCase()).not.toContain('DELETE');
      }),
    );
  });

  it('all else goes on as it was, the method that was judged among it', () => {
    const text = multipart(file, ['Content-Disposition: form-data; name="_method"', 'post'], file);
    fc.assert(
      fc.property(cuts, (places) => {
        expect(through(scan('multipart/form-data; boundary="XX"'), text, places)).toEqual({ out: text, isRefused: false });
      }),
    );
  });

  test.each(['multipart/form-data', 'multipart/form-data; boundary=a; boundary=b', 'multipart/form-data; boundary="a'])(
    'a type that does not say where parts end is not read: %s',
    (type) => {
      expect(createMultipartScan(type, sought)).toBe('unreadable');
    },
  );
});

describe('JSON that asks for another method', () => {
  const word = fc.constantFrom('_method', 'DELETE', 'POST', 'a', '"', '\\', '{', ',');
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      word,
      fc.integer(),
      fc.constant(null),
      fc.array(tie('value')),
      fc.dictionary(word, tie('value')),
    ),
  }));

  it('is refused exactly where its reader finds it, however it is cut and written', () => {
    fc.assert(
      fc.property(value, cuts, fc.boolean(), fc.boolean(), (one, places, isSpaced, isEscaped) => {
        const json = JSON.stringify(one, undefined, isSpaced ? ' ' : undefined);
        const text = isEscaped ? json.replaceAll('_', '\\u005f').replaceAll('D', '\\u0044') : json;
        const top = asObject(one);
        const asked = Object.hasOwn(top, '_method') ? top['_method'] : 'POST';
        const { out, isRefused } = through(createJsonMemberScan(sought), text, places);
        expect(isRefused).toBe(asked !== 'POST');
        expect(isRefused || out === text).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('is held for as long as it may be one, and no longer', () => {
    const scan = createJsonMemberScan(sought);
    expect(scan(Buffer.from('{"a":1,"_meth'), false)).toBe(7);
    expect(scan(Buffer.from(`"_meth${'o'.repeat(600)}`), false)).toBe(606);
    expect(createJsonMemberScan(sought)(Buffer.from(`{"_method"${' '.repeat(4000)}`), false)).toBe(-1);
    expect(createJsonMemberScan(sought)(Buffer.from(`{"_method":"${'P'.repeat(600)}`), false)).toBe(-1);
  });
});

test('the head of a part that comes byte by byte is looked through once', () => {
  const scan = createMultipartScan('multipart/form-data; boundary=XX', sought);
  expect(scan).not.toBe('unreadable');
  const head = Buffer.from(`--XX${'\nx'.repeat(8000)}`);
  const spent = ownTime();
  let held = Buffer.alloc(0);
  for (const byte of head) {
    const data = Buffer.concat([held, Buffer.from([byte])]);
    held = data.subarray((scan as Scan)(data, false));
  }
  expect(spent()).toBeLessThan(1500);
  expect((scan as Scan)(Buffer.concat([held, Buffer.from('\n\nab')]), false)).toBe(head.length - 2);
});
