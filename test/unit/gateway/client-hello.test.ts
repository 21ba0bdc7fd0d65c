import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { maxHelloBytes, readClientHello } from '../../../src/gateway/tls/client-hello.ts';
import { clientHello, extension, serverNames } from '../../../src/proof/attacks/client-hello.ts';

const good = clientHello({
  extensions: [extension(10, Buffer.alloc(4)), serverNames([0, 'Api.Example.com']), extension(16, Buffer.alloc(3))],
});

describe('a well-formed hello', () => {
  test('gives its name in canonical form', () => {
    expect(readClientHello(good)).toEqual({ kind: 'hello', serverName: 'api.example.com', hasEncryptedHello: false });
  });

  test('with an encrypted inner hello says so', () => {
    const hello = clientHello({ extensions: [serverNames([0, 'a.example.com']), extension(0xfe0d, Buffer.alloc(8))] });
    expect(readClientHello(hello)).toMatchObject({ hasEncryptedHello: true });
  });

  test('is incomplete at every earlier byte', () => {
    for (let length = 0; length < good.length; length += 1) {
      expect(readClientHello(good.subarray(0, length)), String(length)).toEqual({ kind: 'incomplete' });
    }
  });

  test('may be followed by early data', () => {
    expect(readClientHello(Buffer.concat([good, Buffer.alloc(10)]))).toMatchObject({ kind: 'hello' });
  });
});

describe('whatever else', () => {
  test('is never read as a name, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(readClientHello(Buffer.from(bytes)).kind).not.toBe('hello');
      }),
      { numRuns: 3000 },
    );
  });

  test('with one byte changed is unreadable, incomplete, or names what stands there', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const hello = readClientHello(bytes);
        if (hello.kind === 'hello') {
          expect(bytes.toString('latin1').toLowerCase()).toContain(hello.serverName);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('is told apart at its first bytes', () => {
    expect(readClientHello(Buffer.from('G'))).toEqual({ kind: 'unreadable', why: 'not TLS' });
    expect(readClientHello(Buffer.from([0x16, 3, 1, 0x7f, 0xff]))).toMatchObject({ kind: 'unreadable' });
    expect(readClientHello(Buffer.from([0x16, 3, 9, 0, 10]))).toMatchObject({ kind: 'unreadable' });
    expect(maxHelloBytes).toBeLessThan(20_000);
  });
});
