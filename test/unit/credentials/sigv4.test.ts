import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { secret } from '../../../src/credentials/secret.ts';
import { parseScope, regionOfHost, scopeFault } from '../../../src/credentials/aws/sigv4-scope.ts';
import { signRequest, type SignInput } from '../../../src/credentials/aws/sigv4.ts';
import { vectors } from '../../fixtures/aws4-vectors.ts';
import { signatureFault, type WireRequest } from '../../helpers/verify-sigv4.ts';

/** Signature Version 4: what is sent bears a signature that a server finds right, of the service and region it is for. */

const accessKeyId = 'AKIDEXAMPLE';
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

describe('the vectors of AWS', () => {
  test.each(vectors)('$name', ({ method, target, fields, body, signedHeaders, signature }) => {
    const scope = '20150830/us-east-1/service/aws4_request';
    const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
    const sessionToken = fields.find(([name]) => name === 'X-Amz-Security-Token')?.[1];
    const request: WireRequest = {
      method,
      target,
      fields: [...fields, ['authorization', authorization]],
      body: Buffer.from(body),
    };
    const keys = { accessKeyId, secretAccessKey, sessionToken };
    expect(signatureFault(request, keys)).toBeUndefined();
    expect(signatureFault({ ...request, body: Buffer.from(`${body}x`) }, keys)).toBeDefined();
  });
});

async function signed(
  input: Partial<SignInput>,
  { body = '', token }: { body?: string; token?: string } = {},
): Promise<WireRequest> {
  const whole: SignInput = {
    method: 'POST',
    authority: 'bedrock-runtime.eu-west-1.amazonaws.com',
    path: '/',
    query: [],
    fields: [],
    contentHash: 'UNSIGNED-PAYLOAD',
    region: 'eu-west-1',
    service: 'bedrock',
    nowMs: Date.UTC(2026, 10, 21, 8, 0, 0),
    ...input,
  };
  const added = await signRequest(whole, {
    kind: 'aws',
    accessKeyId,
    secretAccessKey: secret(secretAccessKey),
    sessionToken: token === undefined ? undefined : secret(token),
  });
  const query = whole.query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
  const target = query === '' ? whole.path : `${whole.path}?${query}`;
  return { method: whole.method, target, fields: [['host', whole.authority], ...added], body: Buffer.from(body) };
}

describe('a request that is signed anew', () => {
  test.each([
    '/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke',
    '/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream',
    '/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude/invoke',
  ])('of Bedrock is right with the model as it is written: %s', async (path) => {
    expect(signatureFault(await signed({ path }), { accessKeyId, secretAccessKey })).toBeUndefined();
  });

  test('carries the session token inside the signature', async () => {
    const request = await signed({}, { token: 'IQoJb3JpZ2luX2VjTOKEN' });
    expect(signatureFault(request, { accessKeyId, secretAccessKey, sessionToken: 'IQoJb3JpZ2luX2VjTOKEN' })).toBeUndefined();
    expect(request.fields.find(([name]) => name === 'authorization')?.[1]).toContain('x-amz-security-token');
  });

  test('is right for any path, query and header, of S3 and of others, at any time', async () => {
    const segment = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }).filter((one) => !/^\.+$/.test(one));
    await fc.assert(
      fc.asyncProperty(
        fc.array(segment, { maxLength: 4 }),
        fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 8 }), fc.string({ maxLength: 8 })), { maxLength: 4 }),
        fc.constantFrom('s3', 'bedrock', 'dynamodb'),
        fc.stringMatching(/^[!-~]{1,20}$/),
        fc.nat({ max: 2_000_000_000 }),
        async (segments, query, service, value, seconds) => {
          const request = await signed({
            path: `/${segments.map(encodeURIComponent).join('/')}`,
            query: query.filter(([name, text]) => name.isWellFormed() && text.isWellFormed()),
            service,
            fields: [
              ['x-amz-meta-note', value],
              ['content-type', 'application/json'],
            ],
            nowMs: seconds * 1000,
          });
          expect(signatureFault(request, { accessKeyId, secretAccessKey })).toBeUndefined();
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('what the caller signed', () => {
  const line = (scope: string, rest = 'SignedHeaders=host;x-amz-date, Signature=' + 'a'.repeat(64)): string =>
    `AWS4-HMAC-SHA256 Credential=${scope}, ${rest}`;

  test('is read for key, region and service', () => {
    expect(parseScope(line('ASIACMPHAAAAAAAAAAAA/20261121/eu-west-1/bedrock/aws4_request'))).toEqual({
      accessKeyId: 'ASIACMPHAAAAAAAAAAAA',
      region: 'eu-west-1',
      service: 'bedrock',
    });
  });

  test.each([
    'Bearer x',
    'AWS AKID:signature',
    line('ASIACMPHAAAAAAAAAAAA/20261121/eu-west-1/bedrock/aws5_request'),
    line('ASIACMPHAAAAAAAAAAAA/20261121/eu-west-1/bedrock'),
    line('ASIACMPHAAAAAAAAAAAA/20261121/eu-west-1/bedrock/aws4_request', 'SignedHeaders=host'),
    line('ASIACMPHAAAAAAAAAAAA/20261121/eu west/bedrock/aws4_request'),
    line('ASIACMPHAAAAAAAAAAAA/20261121/eu-west-1/bedrock/aws4_request').replace('HMAC-SHA256', 'ECDSA-P256-SHA256'),
    `${line('ASIACMPHAAAAAAAAAAAA/20261121/eu-west-1/bedrock/aws4_request')}, more`,
  ])('is refused where it is no such signature: %s', (text) => {
    expect(parseScope(text)).toBeUndefined();
  });

  test.each([
    ['bedrock', 'eu-west-1', 'bedrock-runtime.eu-west-1.amazonaws.com', true],
    ['bedrock', 'us-east-1', 'bedrock-runtime.eu-west-1.amazonaws.com', false],
    ['s3', 'eu-west-1', 'bedrock-runtime.eu-west-1.amazonaws.com', false],
    ['s3', 'us-east-1', 's3.amazonaws.com', true],
    ['s3', 'eu-west-3', 'my.bucket.s3.amazonaws.com', true],
    ['s3', 'us-west-2', 'bucket.s3-us-west-2.amazonaws.com', true],
    ['s3', 'us-west-1', 'bucket.s3-us-west-2.amazonaws.com', false],
    ['s3', 'us-gov-west-1', 'b.s3.dualstack.us-gov-west-1.amazonaws.com', true],
    ['sts', 'us-east-1', 'sts.amazonaws.com', true],
    ['ses', 'eu-west-1', 'email.eu-west-1.amazonaws.com', true],
    ['execute-api', 'eu-west-1', 'abc123.execute-api.eu-west-1.amazonaws.com', true],
    ['lambda', 'eu-west-1', 'xyz.lambda-url.eu-west-1.on.aws', true],
    ['bedrock', 'eu-west-1', 'bedrock.eu-west-1.amazonaws.com.evil.example', false],
    ['bedrock', 'eu-west-1', 'bedrock.eu-west-1.evilamazonaws.com', false],
    ['iam', 'us-east-1', 'sts.amazonaws.com', false],
  ])('for %s in %s at %s: %s', (service, region, host, isFit) => {
    expect(scopeFault({ accessKeyId, region, service }, host) === undefined).toBe(isFit);
  });

  test('a host says its region, and no other host does', () => {
    expect(regionOfHost('bedrock-runtime.eu-central-1.amazonaws.com')).toBe('eu-central-1');
    expect(regionOfHost('eu-central-1.example.com')).toBeUndefined();
    expect(regionOfHost('s3.amazonaws.com')).toBeUndefined();
  });
});
