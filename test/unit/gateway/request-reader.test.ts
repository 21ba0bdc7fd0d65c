import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { RequestReader } from '../../../src/gateway/http/request-reader.ts';
import { readAsNode, readOurs } from '../../helpers/request-readings.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const read = (text: string) => readOurs([bytes(text)]);
const head = 'POST /a HTTP/1.1\r\nHost: x\r\n';

describe('a request with more than one meaning, or none, is refused', () => {
  test.each([
    ['two lengths', `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
    ['two lengths that differ', `${head}Content-Length: 2\r\nContent-Length: 0\r\n\r\nok`],
    ['a list of lengths', `${head}Content-Length: 2, 2\r\n\r\nok`],
    ['a signed length', `${head}Content-Length: +2\r\n\r\nok`],
    ['a length in hex', `${head}Content-Length: 0x2\r\n\r\nok`],
    ['no length', `${head}Content-Length: \r\n\r\nok`],
    ['a length beside a transfer coding', `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['another transfer coding', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['chunked in quotes', `${head}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`],
    ['chunked behind a control character', `${head}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
    ['a transfer coding twice', `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a transfer coding in HTTP/1.0', 'POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a blank before the colon', `${head}Content-Length : 2\r\n\r\nok`],
    ['a blank before the name', `POST /a HTTP/1.1\r\n Host: x\r\n\r\n`],
    ['a folded line', `${head}X-A: b\r\n c\r\n\r\n`],
    ['lines that end in LF', 'GET /a HTTP/1.1\nHost: x\n\n'],
    ['LF inside of a field', `${head}X-A: b\nX-B: c\r\n\r\n`],
    ['CR inside of a field', `${head}X-A: b\rX-B: c\r\n\r\n`],
    ['NUL in a field', `${head}X-A: b\0c\r\n\r\n`],
    ['no name', `${head}: b\r\n\r\n`],
    ['an empty line before it', `\r\n${head}\r\n`],
    ['two blanks in the request line', 'GET  /a HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a blank in the target', 'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a tab in the request line', 'GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a target of other characters', 'GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no target', 'GET HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no version', 'GET /a\r\nHost: x\r\n\r\n'],
    ['HTTP/0.9', 'GET /a HTTP/0.9\r\nHost: x\r\n\r\n'],
    ['HTTP/2.0', 'GET /a HTTP/2.0\r\nHost: x\r\n\r\n'],
    ['HTTP/1.10', 'GET /a HTTP/1.10\r\nHost: x\r\n\r\n'],
    ['the start of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a method without end', `${'A'.repeat(40)} /a HTTP/1.1\r\n\r\n`],
    ['a chunk that is longer than its size', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n0\r\n\r\n`],
    ['a size with a sign', `${head}Transfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n`],
    ['a size in 0x', `${head}Transfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n`],
    ['a length behind the content', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 2\r\n\r\n`],
    [
      'a transfer coding behind the content',
      `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ],
    ['a size line that ends in LF', `${head}Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n`],
    ['an extension that is none', `${head}Transfer-Encoding: chunked\r\n\r\n2;\nok\r\n0\r\n\r\n`],
  ])('%s', (_what, text) => {
    const whole = read(text);
    expect(whole).toEqual({ requests: [], end: 'malformed' });
    // However it comes, it is never waited for without end.
    expect(readOurs(Array.from(text, bytes))).toEqual(whole);
  });

  test.each([
    ['a head', `GET /a HTTP/1.1\r\n${'X-More: yyyyyyyyyyyyyyyyyyyy\r\n'.repeat(2000)}`],
    ['a target', `GET /${'a'.repeat(20_000)}`],
    ['fields', `GET /a HTTP/1.1\r\n${'a:\r\n'.repeat(513)}\r\n`],
  ])('%s without end is too large', (_what, text) => {
    expect(read(text).end).toBe('too-large');
  });

  test.each(['\x16\x03\x01\0\x05hello', 'SSH-2.0-x\r\n', '\x05\x01\0', 'A'.repeat(64)])('%j is not waited for', (text) => {
    expect(read(text).end).toBe('malformed');
  });

  test('nothing behind what is refused is read', () => {
    const text = `${head}Content-Length: 1\r\n\r\nxGET /b HTTP/1.1\r\nA: b\nC: d\r\n\r\nGET /c HTTP/1.1\r\n\r\n`;
    expect(read(text).requests.map(({ target }) => target)).toEqual(['/a']);
  });
});

describe('very many small chunks', () => {
  const head = 'POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const piecesOf = (text: string): string[] => {
    const pieces: string[] = [];
    const reader = new RequestReader(65_536, {
      head: () => true,
      content: (piece) => void pieces.push(piece.toString('latin1')),
      done: (trailers) => void pieces.push(`end ${JSON.stringify(trailers)}`),
    });
    reader.push(bytes(text));
    return pieces;
  };

  test('go on as one piece where they came as one', () => {
    const chunks = Array.from({ length: 10_000 }, (_, index) => `1\r\n${index % 10}\r\n`);
    expect(piecesOf(`${head}${chunks.join('')}0\r\na: b\r\n\r\n`)).toEqual(['0123456789'.repeat(1000), 'end [["a","b"]]']);
  });

  test('keep their order among large ones', () => {
    const large = 'y'.repeat(1024);
    const pieces = piecesOf(`${head}1\r\na\r\n2;x=y\r\nbc\r\n400\r\n${large}\r\n00000000000D\r\nd${'e'.repeat(12)}\r\n5\r\nf`);
    expect(pieces).toEqual(['abc', large, `d${'e'.repeat(12)}f`]);
  });

  test('have gone on where what follows them is refused', () => {
    const pieces: string[] = [];
    const reader = new RequestReader(65_536, {
      head: () => true,
      content: (piece) => void pieces.push(piece.toString('latin1')),
      done: () => undefined,
    });
    expect(() => reader.push(bytes(`${head}1\r\na\r\n1\r\nb\r\nz\r\n`))).toThrow('the size of a chunk');
    expect(pieces).toEqual(['ab']);
  });
});

describe('what stands behind a request', () => {
  test('is the next one', () => {
    const { requests, end } = read(`${head}Content-Length: 2\r\n\r\nokGET /b HTTP/1.1\r\n\r\nGET /c HTT`);
    expect(requests.map(({ target, content }) => [target, content])).toEqual([
      ['/a', 'ok'],
      ['/b', ''],
    ]);
    expect(end).toBe('open');
  });

  test.each(['CONNECT a:443 HTTP/1.1\r\n', 'GET /a HTTP/1.1\r\nConnection: x, Upgrade\r\nUpgrade: h2c\r\n'])(
    'is left alone where it may be of another protocol: %j',
    (text) => {
      expect(read(`${text}Content-Length: 3\r\n\r\nGET /b HTTP/1.1\r\n\r\n`)).toMatchObject({
        requests: [{ content: '' }],
        end: 'switch',
      });
    },
  );
});

const name = fc
  .stringMatching(/^[A-Za-z!#$%&'*+.^_`|~-]{1,12}$/)
  .filter((one) => !/^(?:content-length|transfer-encoding|connection|upgrade|proxy-connection)$/i.test(one));
const value = fc.stringMatching(/^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/);
const content = fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one).toString('latin1'));
const request = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'),
    target: fc.stringMatching(/^\/[!-~]{0,20}$/).filter((one) => !one.includes('#')),
    version: fc.constantFrom('1.1', '1.1', '1.0'),
    fields: fc.array(fc.tuple(name, value), { maxLength: 6 }),
    connection: fc.constantFrom('', 'Connection: keep-alive\r\n'),
    pieces: fc.array(content, { maxLength: 4 }),
    framing: fc.constantFrom('length', 'chunked', 'none'),
    trailers: fc.array(fc.tuple(name, value), { maxLength: 2 }),
  })
  .map(({ method, target, version, fields, connection, pieces, framing, trailers }) => {
    const lines = (all: readonly (readonly [string, string])[]): string => all.map(([one, of]) => `${one}: ${of}\r\n`).join('');
    const whole = pieces.join('');
    const start = `${method} ${target} HTTP/${version}\r\n${connection}${lines(fields)}`;
    if (framing === 'chunked' && version === '1.1') {
      const chunks = pieces.filter((one) => one !== '').map((one) => `${one.length.toString(16)}\r\n${one}\r\n`);
      return `${start}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${lines(trailers)}\r\n`;
    }
    return framing === 'none' ? `${start}\r\n` : `${start}Content-Length: ${whole.length}\r\n\r\n${whole}`;
  });

describe('beside the parser of Node', () => {
  test('requests that are well formed are read alike, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(60), { maxLength: 12 }), (texts, cuts) => {
        const input = bytes(texts.join(''));
        const ours = readOurs([input]);
        expect(ours.end).toBe('open');
        expect(ours.requests).toHaveLength(texts.length);
        const theirs = readAsNode(input);
        // Behind a request that closes the connection Node reads nothing more; we do, and leave it to the connection.
        expect(ours.requests.slice(0, theirs.requests.length)).toEqual(theirs.requests);
        let at = 0;
        const pieces = cuts.map((count) => input.subarray(at, (at += count)));
        expect(readOurs([...pieces, input.subarray(at)])).toEqual(ours);
      }),
    );
  });
});
