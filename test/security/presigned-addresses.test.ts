import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';

import { SignatureV4 } from '@smithy/signature-v4';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { secret } from '../../src/credentials/secret.ts';
import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { signatureFault, type WireRequest } from '../helpers/verify-sigv4.ts';

/** SEC-04, 06: addresses of AWS that were signed inside are signed anew in the header, and no other ones. */

const awsReal = {
  accessKeyId: 'AKIAREALREALREALREAL',
  secretAccessKey: 'realSecret/9f8e7d6c5b4a39281706+AAAA',
  sessionToken: 'realTokenRealTokenRealToken12345',
};
const awsId = 'ASIACMPHABCDEFGHIJKL';
const phantomToken = 'cmph/secret00000000000000000000000000000';
const s3 = 's3.eu-west-1.amazonaws.com';
const signedInHeader = `Authorization: AWS4-HMAC-SHA256 Credential=${awsId}/20261121/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`;

let lab: Lab;
let sink: Sink;
let fields: WireRequest['fields'] = [];

beforeAll(async () => {
  lab = await createLab({
    rules: [rule(s3, { credential: 'aws' })],
    credentials: [
      credential({
        name: 'aws',
        phantom: awsId,
        phantoms: () => [awsId, phantomToken],
        identityHeaders: ['authorization', 'x-amz-security-token'],
        inject: { kind: 'sigv4' },
        obtain: async () => ({
          kind: 'aws',
          accessKeyId: awsReal.accessKeyId,
          secretAccessKey: secret(awsReal.secretAccessKey),
          sessionToken: secret(awsReal.sessionToken),
        }),
      }),
    ],
  });
  sink = await sinkAt(lab, s3, 443, {
    onlyHttp1: true,
    respond: (request, response) => {
      const { rawHeaders: raw } = request;
      fields = Array.from({ length: raw.length / 2 }, (_, index) => [raw[index * 2] ?? '', raw[index * 2 + 1] ?? ''] as const);
      request.once('end', () => void response.end('fine'));
    },
  });
});
afterAll(async () => {
  await lab.close();
  sink.close();
});

interface Sent {
  readonly method: string;
  readonly target: string;
  readonly lines?: readonly string[];
  readonly body?: string;
}

async function send({ method, target, lines = [], body }: Sent): Promise<string> {
  const socket = await tlsTo(await lab.open(s3, 443), s3, { ca: lab.authority.certificatePem });
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${s3}`, 'Connection: close', ...length, ...lines].join('\r\n');
  return (await talk(socket, [`${head}\r\n\r\n${body ?? ''}`])).text;
}

function last() {
  const seen = sink.seen.at(-1);
  if (seen === undefined) {
    throw new Error('nothing arrived');
  }
  return seen;
}

function arrived(): WireRequest {
  const { method, url, body } = last();
  return { method, target: url, fields, body: Buffer.from(body, 'latin1') };
}

async function isRefused(sent: Sent, reason: string): Promise<void> {
  const before = sink.seen.length;
  expect(await send(sent)).toContain(`x-casemate-denied: ${reason}`);
  expect(sink.seen.length).toBe(before);
}

describe('an address that is signed with the phantom keys', () => {
  const object = '/bucket/a%20b.txt';
  /** As the signer of the SDK makes it; `more`: headers, of which those of AWS go into the address. */
  async function signed(
    target: string,
    { method = 'GET', more = {}, ageMs = 0, expiresIn = 300, id = awsId, withToken = true } = {},
  ) {
    const signer = new SignatureV4({
      service: 's3',
      region: 'eu-west-1',
      uriEscapePath: false,
      applyChecksum: false,
      sha256: Sha256,
      credentials: { accessKeyId: id, secretAccessKey: 'x', ...(withToken ? { sessionToken: phantomToken } : {}) },
    });
    const [path = '', text] = target.split('?');
    const query = Object.fromEntries(new URLSearchParams(text));
    const request = { method, protocol: 'https:', hostname: s3, path, query, headers: { host: s3, ...more } };
    const made = await signer.presign(request, { expiresIn, signingDate: new Date(Date.now() - ageMs) });
    const parts = Object.entries(made.query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    return `${path}?${parts.join('&')}`;
  }

  test('is signed anew in the header, and nothing of its signature goes on', async () => {
    for (const withToken of [true, false]) {
      expect(await send({ method: 'GET', target: await signed(`${object}?versionId=1`, { withToken }) })).toMatch(
        /^HTTP\/1\.1 200 /,
      );
      expect(last().url).toMatch(/^\/bucket\/a%20b\.txt\?(?:versionId=1|x-id=GetObject&versionId=1)$/);
      expect(signatureFault(arrived(), awsReal)).toBeUndefined();
    }
    expect(JSON.stringify(last())).not.toContain(awsId);
  });

  test('carries content, and what its signer had put into the address in place of headers', async () => {
    const target = await signed(object, { method: 'PUT', more: { 'x-amz-acl': 'private', 'content-type': 'text/plain' } });
    expect(target).toContain('x-amz-acl=private');
    expect(await send({ method: 'PUT', target, lines: ['Content-Type: text/plain'], body: 'content' })).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect(last()).toMatchObject({ url: object, body: 'content' });
    expect(last().headers['x-amz-acl']).toBe('private');
    expect(signatureFault(arrived(), awsReal)).toBeUndefined();
  });

  test.each([
    ['not good any more', () => signed(object, { ageMs: 400_000 }), 'not-signable'],
    ['not good yet', () => signed(object, { ageMs: -3_600_000 }), 'not-signable'],
    [
      'good for too long',
      async () => (await signed(object)).replace('X-Amz-Expires=300', 'X-Amz-Expires=999999'),
      'not-signable',
    ],
    ['without an end', async () => (await signed(object)).replace('X-Amz-Expires=300&', ''), 'not-signable'],
    ['twice', async () => `${await signed(object)}&X-Amz-Expires=300`, 'not-signable'],
    ['of another key', () => signed(object, { id: 'AKIAIOSFODNN7EXAMPLE' }), 'foreign-key'],
    ['with another token', async () => (await signed(object)).replace(/(X-Amz-Security-Token=)[^&]*/, '$1mine'), 'foreign-key'],
    ['of another region', async () => (await signed(object)).replace('eu-west-1', 'us-east-1'), 'not-signable'],
    ['with a header that is not there', () => signed(object, { more: { 'content-type': 'text/plain' } }), 'not-signable'],
    ['with a phantom beside it', async () => `${await signed(object)}&a=${awsId}`, 'phantom-misplaced'],
    [
      'with a phantom in its own parts',
      async () => (await signed(object)).replace('SignedHeaders=host', `SignedHeaders=host;${awsId}`),
      'phantom-misplaced',
    ],
    ['with a line break in it', async () => `${await signed(object)}&x-amz-acl=a%0d%0ab`, 'not-signable'],
  ])('is refused: %s', async (_, made, reason) => {
    await isRefused({ method: 'GET', target: await made() }, reason);
  });

  test('is refused where the header is signed, too', async () => {
    const lines = [signedInHeader];
    await isRefused({ method: 'GET', target: await signed(object), lines }, 'foreign-key');
  });
});

/** The form in which the SDK's signer wants its hash. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      key === undefined
        ? createHash('sha256')
        : createHmac(
            'sha256',
            typeof key === 'string'
              ? key
              : Buffer.from(
                  new Uint8Array(
                    ArrayBuffer.isView(key) ? key.buffer.slice(key.byteOffset, key.byteOffset + key.byteLength) : key,
                  ),
                ),
          );
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    // Made anew for each use.
  }
}
