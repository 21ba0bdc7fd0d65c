import fc from 'fast-check';
import { decode, encode } from 'dns-packet';
import { describe, expect, test } from 'vitest';

import { answerQuery, type DnsContext } from '../../../src/gateway/names/dns.ts';
import { createNames } from '../../../src/gateway/names/names.ts';
import { rule } from '../../helpers/network-rule.ts';
import { ownTime } from '../../helpers/own-time.ts';

const rules = [rule('allowed.example.com'), rule('db')];

function context(): DnsContext {
  return {
    names: createNames({ sandboxId: 'cm-1', rules: () => rules, limit: 100, allowedLimit: 10 }),
    rules: () => rules,
    forbidden: () => ['Phantom-Key'],
    mayAnswer: () => true,
    onForbidden: () => undefined,
    onFull: () => undefined,
  };
}

function ask(name: string, type = 'A', more: object = {}) {
  const answer = answerQuery(
    encode({ type: 'query', id: 4711, flags: 0x100, questions: [{ type: type as 'A', name }], ...more }),
    context(),
  );
  return decode(Buffer.from(answer ?? [])) as ReturnType<typeof decode> & { rcode: string; flag_aa: boolean };
}

describe('a query', () => {
  test('for an address of any well-formed name is answered, allowed or not, in the spelling it came in', () => {
    for (const name of [
      'allowed.example.com',
      'denied.example.net',
      'DeNiEd.Example.Net',
      'db',
      'xn--bcher-kva.example',
      '_sip.example.com',
    ]) {
      const answer = ask(name);
      expect(answer).toMatchObject({
        id: 4711,
        rcode: 'NOERROR',
        questions: [{ name }],
        answers: [{ type: 'A', name, ttl: 300 }],
      });
      expect(answer.answers?.[0]).toHaveProperty(
        'data',
        expect.stringMatching(/^127\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/),
      );
    }
  });

  test.each(['AAAA', 'TXT', 'MX', 'SRV', 'NS', 'HTTPS', 'CAA'])('of type %s has no answer and is no error', (type) => {
    expect(ask('allowed.example.com', type)).toMatchObject({ rcode: 'NOERROR', answers: [] });
  });

  test.each([
    'localhost',
    'a.localhost',
    'single',
    'printer.local',
    '1.0.0.127.in-addr.arpa',
    '1.2.3.4',
    '',
    'x'.repeat(63),
    '-a.example.com',
  ])('for %j finds no such name', (name) => {
    expect(ask(name)).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  test('with an extended header is answered with one', () => {
    const answer = ask('allowed.example.com', 'A', { additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0 }] });
    expect(answer.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }]);
  });

  test('with a phantom in it, in any spelling, is refused', () => {
    expect(ask('x.phantom-KEY.example.net')).toMatchObject({ rcode: 'REFUSED' });
  });
});

describe('what is no query', () => {
  const code = (bytes: Uint8Array | undefined): number | undefined => (bytes === undefined ? undefined : (bytes[3] ?? 0) & 0xf);
  const whole = encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'allowed.example.com' }] });

  test('an answer, or less than a header, is left alone', () => {
    expect(answerQuery(encode({ type: 'response', id: 1, questions: [] }), context())).toBeUndefined();
    expect(answerQuery(new Uint8Array(11), context())).toBeUndefined();
  });

  test('a query past the rate gets no answer', () => {
    expect(answerQuery(whole, { ...context(), mayAnswer: () => false })).toBeUndefined();
  });

  test('another operation is not implemented, several questions and broken ones are malformed, other classes refused', () => {
    expect(code(answerQuery(encode({ type: 'query', id: 1, flags: 5 << 11, questions: [] }), context()))).toBe(4);
    expect(code(answerQuery(encode({ type: 'query', id: 1, questions: [] }), context()))).toBe(1);
    expect(
      code(
        answerQuery(
          encode({
            type: 'query',
            id: 1,
            questions: [
              { type: 'A', name: 'a.b' },
              { type: 'A', name: 'c.d' },
            ],
          }),
          context(),
        ),
      ),
    ).toBe(1);
    expect(code(answerQuery(whole.subarray(0, whole.length - 5), context()))).toBe(1);
    expect(
      code(
        answerQuery(encode({ type: 'query', id: 1, questions: [{ type: 'A', class: 'CH', name: 'a.example.com' }] }), context()),
      ),
    ).toBe(5);
  });

  test('a pointer that leads to itself does not hang', () => {
    const loop = Buffer.concat([whole.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 1, 0, 1])]);
    expect(code(answerQuery(loop, context()))).toBe(1);
  });

  test('what stands behind the question costs nothing, however often it names itself', () => {
    const question = Buffer.from(whole);
    const pointers = 1000;
    const data = Buffer.alloc(2 * pointers);
    const dataAt = question.length + 11;
    for (let index = 0; index < pointers; index += 1) {
      data.writeUInt16BE(0xc000 | (index === 0 ? 12 : dataAt + 2 * index - 2), 2 * index);
    }
    const record = Buffer.from([0, 0, 10, 0, 1, 0, 0, 0, 0, data.length >> 8, data.length & 0xff]);
    const naming = Buffer.from([
      0xc0 | ((dataAt + data.length - 2) >> 8),
      (dataAt + data.length - 2) & 0xff,
      0,
      10,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    const count = Math.floor((4096 - dataAt - data.length) / naming.length);
    const query = Buffer.concat([question, record, data, ...Array.from({ length: count }, () => naming)]);
    query.writeUInt16BE(1 + count, 6);
    const costOf = (asked: Uint8Array): number => {
      const spent = ownTime();
      for (let index = 0; index < 1000; index += 1) {
        expect(code(answerQuery(asked, context()))).toBe(0);
      }
      return spent();
    };
    const usual = costOf(whole);
    // Sixty times as much before.
    expect(costOf(query)).toBeLessThan(10 * usual + 100);
  });

  test('noise never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, isNear) => {
        const bytes = isNear ? Buffer.concat([whole.subarray(0, 12), Buffer.from(noise)]) : Buffer.from(noise);
        expect(() => answerQuery(bytes, context())).not.toThrow();
      }),
      { numRuns: 3000 },
    );
  });
});
