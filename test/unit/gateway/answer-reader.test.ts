import { PassThrough } from 'node:stream';
import type { Socket } from 'node:net';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { requestText, type Framing } from '../../../src/gateway/http/request-text.ts';
import { WrittenContent } from '../../../src/gateway/bodies/written-content.ts';
import { readAsNode, readOurs } from '../../helpers/answer-readings.ts';
import { ownTime } from '../../helpers/own-time.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const read = (text: string, method = 'GET') => readOurs([bytes(text)], method, true);
const head = 'HTTP/1.1 200 OK\r\n';

describe('an answer with more than one meaning, or none, is refused', () => {
  test.each([
    ['two lengths', `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
    ['a list of lengths', `${head}Content-Length: 2, 2\r\n\r\nok`],
    ['a signed length', `${head}Content-Length: +2\r\n\r\nok`],
    ['a length beside a transfer coding', `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['another transfer coding', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a transfer coding twice', `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a blank before the colon', `${head}Content-Length : 2\r\n\r\nok`],
    ['a folded line', `${head}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n`],
    ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['LF inside of a field', `${head}X-A: b\nContent-Length: 0\r\n\r\n`],
    ['CR inside of a field', `${head}X-A: b\rContent-Length: 0\r\n\r\n`],
    ['NUL in a field', `${head}X-A: b\0c\r\nContent-Length: 0\r\n\r\n`],
    ['no name', `${head}: b\r\nContent-Length: 0\r\n\r\n`],
    ['another version', 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['another protocol', 'SSH-2.0-x\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a chunk that is longer than its size', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n0\r\n\r\n`],
    ['a size with a sign', `${head}Transfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n`],
    ['a size in 0x', `${head}Transfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n`],
    ['a size that no number holds', `${head}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(17)}\r\n`],
    ['a length behind the content', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 2\r\n\r\n`],
    [
      'a transfer coding behind the content',
      `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ],
    ['an announcement of HTTP/1.0', `HTTP/1.0 103 Early\r\n\r\n${head}Content-Length: 0\r\n\r\n`],
    ['an announcement that closes', `HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n${head}Content-Length: 0\r\n\r\n`],
    ['a size line that ends in LF', `${head}Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n`],
  ])('%s', (_what, text) => {
    expect(read(text).end).toBe('fault');
    // However it comes, it is never waited for without end.
    expect(readOurs(Array.from(text, bytes), 'GET', true).end).toBe('fault');
  });

  test.each([
    ['a head', head + 'X-More: yyyyyyyyyyyyyyyyyyyy\r\n'.repeat(2000)],
    ['trailers', `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n${'X-More: yyyyyyyyyyyyyyyyyyyy\r\n'.repeat(2000)}`],
    ['an extension', `${head}Transfer-Encoding: chunked\r\n\r\n1;${'y'.repeat(60_000)}`],
    ['extensions', `${head}Transfer-Encoding: chunked\r\n\r\n${`1;${'y'.repeat(200)}\r\nx\r\n`.repeat(200)}`],
  ])('%s without end', (_what, text) => {
    expect(read(text).end).toBe('fault');
  });

  test('many blanks in a value take no time', () => {
    const spent = ownTime();
    expect(read(`${head}X-A: b${' '.repeat(15_000)}c\r\nContent-Length: 0\r\n\r\n`).end).toBe('whole');
    expect(spent()).toBeLessThan(200);
  });
});

describe('what ends where', () => {
  test.each([
    ['HEAD', `${head}Content-Length: 9\r\n\r\n`, 'HEAD', ''],
    ['204', 'HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n', 'GET', ''],
    ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', 'GET', ''],
    ['informational answers before', `HTTP/1.1 103 Early\r\nLink: x\r\n\r\n${head}Content-Length: 2\r\n\r\nok`, 'GET', 'ok'],
    ['the end of the connection', 'HTTP/1.0 200 OK\r\n\r\nuntil the end', 'GET', 'until the end'],
    ['more than was stated', `${head}Content-Length: 2\r\n\r\nokEXTRA`, 'GET', 'ok'],
  ])('%s', (_what, text, method, content) => {
    expect(read(text, method)).toMatchObject({ end: 'whole', content });
  });

  test('less than was stated is incomplete', () => {
    expect(read(`${head}Content-Length: 9\r\n\r\nok`).end).toBe('incomplete');
    expect(read(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`).end).toBe('incomplete');
  });
});

const name = fc
  .stringMatching(/^[A-Za-z!#$%&'*+.^_`|~-]{1,12}$/)
  .filter((one) => !/^(?:content-length|transfer-encoding)$/i.test(one));
const value = fc.stringMatching(/^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/);
const content = fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one).toString('latin1'));
const answer = fc
  .record({
    status: fc.constantFrom(200, 201, 204, 301, 304, 404, 500),
    fields: fc.array(fc.tuple(name, value), { maxLength: 6 }),
    pieces: fc.array(content, { maxLength: 4 }),
    framing: fc.constantFrom('length', 'chunked', 'end'),
    trailers: fc.array(fc.tuple(name, value), { maxLength: 2 }),
  })
  .map(({ status, fields, pieces, framing, trailers }) => {
    const lines = (all: readonly (readonly [string, string])[]): string => all.map(([one, of]) => `${one}: ${of}\r\n`).join('');
    const whole = pieces.join('');
    const start = `HTTP/1.1 ${status} Words\r\n${lines(fields)}`;
    if (framing === 'chunked') {
      const chunks = pieces.filter((one) => one !== '').map((one) => `${one.length.toString(16)}\r\n${one}\r\n`);
      return `${start}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${lines(trailers)}\r\n`;
    }
    return `${start}${framing === 'length' ? `Content-Length: ${whole.length}\r\n` : ''}\r\n${whole}`;
  });

describe('beside the parser of Node', () => {
  test('answers that are well formed are read alike, however they are cut', () => {
    fc.assert(
      fc.property(
        answer,
        fc.constantFrom('GET', 'HEAD', 'POST'),
        fc.array(fc.nat(60), { maxLength: 12 }),
        (text, method, cuts) => {
          const input = bytes(text);
          const ours = readOurs([input], method, true);
          expect(ours).toEqual(readAsNode(input, method, true));
          expect(ours.end).toBe('whole');
          let at = 0;
          const pieces = cuts.map((count) => input.subarray(at, (at += count)));
          expect(readOurs([...pieces, input.subarray(at)], method, true)).toEqual(ours);
        },
      ),
    );
  });
});

/** All that is written to a connection. */
async function written(framing: Framing, act: (content: WrittenContent) => void): Promise<{ text: string; isBroken: boolean }> {
  const socket = new PassThrough({ highWaterMark: 1 << 20 });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  act(
    new WrittenContent(socket as unknown as Socket, {
      head: '',
      framing,
      written: () => resolve(false),
      broken: () => resolve(true),
    }),
  );
  const isBroken = await promise;
  return { isBroken, text: (socket.read() as Buffer | null)?.toString('latin1') ?? '' };
}

describe('content of a request', () => {
  test('an empty piece is not written: as a chunk it would be the end', async () => {
    const { text } = await written('chunked', (one) => {
      one.write('ab');
      one.write(Buffer.alloc(0));
      one.end(Buffer.alloc(0));
    });
    expect(text).toBe('2\r\nab\r\n0\r\n\r\n');
  });

  test('nothing is written, the head neither, before there is something to say', async () => {
    const socket = new PassThrough();
    const ends = { written: () => undefined, broken: () => undefined };
    const content = new WrittenContent(socket as unknown as Socket, { head: 'HEAD\r\n\r\n', framing: { length: 2 }, ...ends });
    await new Promise(setImmediate);
    expect(socket.read()).toBeNull();
    content.destroy(new Error('unreadable'));
    await new Promise(setImmediate);
    expect(socket.read()).toBeNull();
  });

  test('fields behind it', async () => {
    const { text } = await written('chunked', (one) => {
      one.addTrailers([['x-sum', '1']]);
      one.end('abc');
    });
    expect(text).toBe('3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n');
  });

  test.each([
    ['just as long as was stated', 'abc', false],
    ['longer', 'abcd', true],
    ['shorter', 'ab', true],
  ])('%s', async (_what, body, isBroken) => {
    const result = await written({ length: 3 }, (one) => one.end(body));
    expect(result.isBroken).toBe(isBroken);
    expect(result.text.length).toBeLessThanOrEqual(3);
  });

  test.each([
    ['a line end in a field', { fields: [['x-a', 'b\r\nc: d']] }],
    ['a name that is none', { fields: [['x a', 'b']] }],
    ['a blank in the target', { target: '/a b' }],
    ['a method that is none', { method: 'GE T' }],
  ] as const)('%s is not written', (_what, wrong) => {
    expect(() => requestText({ method: 'GET', target: '/', fields: [], framing: 'none', ...wrong })).toThrow();
  });
});
