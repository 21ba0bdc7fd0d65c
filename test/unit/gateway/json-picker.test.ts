import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ownTime } from '../../helpers/own-time.ts';
import { createJsonPicker } from '../../../src/gateway/http/json-picker.ts';

function pick(text: string, names: readonly string[], cuts: readonly number[] = []): Record<string, unknown> {
  const picker = createJsonPicker(names);
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  places.slice(1).forEach((end, index) => picker.push(bytes.subarray(places[index], end)));
  return Object.fromEntries(picker.values());
}

describe('members at the top of a JSON object', () => {
  it('are picked whatever they hold, and others are not', () => {
    const value = { model: 'm "x" \\', usage: { a: [1, { usage: 2 }], s: '},"model":"no"' }, other: { model: 'inner' }, n: 5 };
    expect(pick(JSON.stringify(value), ['model', 'usage', 'n'])).toEqual({ model: value.model, usage: value.usage, n: 5 });
    expect(pick(JSON.stringify(value, undefined, 2), ['model', 'n'])).toEqual({ model: value.model, n: 5 });
  });

  it('the last of two counts, as for JSON.parse', () => {
    expect(pick('{"a":1,"a":2}', ['a'])).toEqual({ a: 2 });
  });

  it.each([
    ['escapes without end', `{"a":"${'\\n'.repeat(1_000_000)}`],
    ['strings before an escape', `{"a":[${'"b",'.repeat(400_000)}"\\n"`],
  ])('are looked for in time that the length bounds: %s', (_, text) => {
    const spent = ownTime();
    expect(pick(text, ['model'])).toEqual({});
    expect(spent()).toBeLessThan(3000);
  });

  it('what is no object gives nothing', () => {
    for (const text of ['', '[{"a":1}]', '"a"', '{"a":', '{{{{', 'null', '{"a":x}']) {
      expect(pick(text, ['a'])).toEqual({});
    }
  });

  it('as JSON.parse says, cut anywhere', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.nat()), (value, cuts) => {
        const names = Object.keys(value).slice(0, 3);
        const expected = JSON.parse(JSON.stringify(Object.fromEntries(names.map((name) => [name, value[name]]))));
        expect(pick(JSON.stringify(value), names, cuts)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('of what is too long to be kept the name is told, and of a repeated one the last', () => {
    const long = `"${'x'.repeat(70_000)}"`;
    expect(pick(`{"a":1,"a":${long},"b":${long},"b":2}`, ['a', 'b'], [])).toEqual({ a: undefined, b: 2 });
    expect(pick(`{"a":${' '.repeat(70_000)}true}`, ['a'], [])).toStrictEqual({ a: undefined });
  });

  it('bytes of any kind do no harm', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (pieces) => {
        const picker = createJsonPicker(['a']);
        pieces.forEach((piece) => picker.push(Buffer.from(piece)));
        picker.values();
      }),
    );
  });
});
