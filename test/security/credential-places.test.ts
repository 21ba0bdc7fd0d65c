import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { BoundCredential, Material } from '../../src/credentials/credential.ts';
import { secret } from '../../src/credentials/secret.ts';
import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';
import { signatureFault, type WireRequest } from '../helpers/verify-sigv4.ts';

/** SEC-04, 06, 07, 08 for each place a credential may go to: the real value there and nowhere else, the caller's own refused. */

const real = 'real-9f8e7d6c5b4a39281706';
const stand = 'cmph_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG';
const awsReal = {
  accessKeyId: 'AKIAREALREALREALREAL',
  secretAccessKey: 'realSecret/9f8e7d6c5b4a39281706+AAAA',
  sessionToken: 'realTokenRealTokenRealToken12345',
};
const awsId = 'ASIACMPHABCDEFGHIJKL';

const places = {
  basic: { kind: 'basic', user: 'x-access-token' },
  query: { kind: 'query', parameter: 'api_key' },
  body: { kind: 'body', field: 'api_key' },
} as const;

let lab: Lab;
const sinks = new Map<string, Sink>();
const seenFields = new Map<string, readonly (readonly [string, string])[]>();
let echo = '';

const respond: Respond = (request, response, seen) =>
  void request.once('end', () => {
    seenFields.set(seen.host, pairs(request.rawHeaders));
    response.end(echo === '' ? 'fine' : echo);
  });

beforeAll(async () => {
  const bound: BoundCredential[] = Object.entries(places).map(([name, inject]) =>
    credential({ name, phantom: stand, inject, obtain: async () => ({ kind: 'text', secret: secret(real) }) }),
  );
  const aws: Material = {
    kind: 'aws',
    accessKeyId: awsReal.accessKeyId,
    secretAccessKey: secret(awsReal.secretAccessKey),
    sessionToken: secret(awsReal.sessionToken),
  };
  bound.push(
    credential({
      name: 'aws',
      phantom: awsId,
      phantoms: () => [awsId, 'cmph/secret00000000000000000000000000000'],
      identityHeaders: ['authorization', 'cookie', 'x-amz-security-token'],
      keyParameters: [],
      inject: { kind: 'sigv4' },
      obtain: async () => aws,
    }),
  );
  lab = await createLab({
    rules: [
      ...Object.keys(places).map((name) => rule(`${name}.example.com`, { credential: name })),
      rule('*.amazonaws.com', { credential: 'aws' }),
    ],
    credentials: bound,
  });
  for (const host of [...Object.keys(places).map((name) => `${name}.example.com`), ...awsHosts]) {
    sinks.set(host, await sinkAt(lab, host, 443, { respond, onlyHttp1: true }));
  }
});
afterAll(async () => {
  await lab.close();
  for (const sink of sinks.values()) {
    sink.close();
  }
});

const awsHosts = [
  'bedrock-runtime.eu-west-1.amazonaws.com',
  's3.eu-west-1.amazonaws.com',
  'sts.amazonaws.com',
  'api.ecr.eu-west-1.amazonaws.com',
  'iam.amazonaws.com',
] as const;
const [bedrock, s3, sts, ecr, iam] = awsHosts;

function pairs(raw: readonly string[]): readonly (readonly [string, string])[] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[index * 2] ?? '', raw[index * 2 + 1] ?? ''] as const);
}

interface Sent {
  readonly method?: string;
  readonly target?: string;
  readonly lines?: readonly string[];
  readonly body?: string | undefined;
}

async function send(host: string, { method = 'POST', target = '/x', lines = [], body }: Sent): Promise<string> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...length, ...lines].join('\r\n');
  return (await talk(socket, [`${head}\r\n\r\n${Buffer.from(body ?? '').toString('latin1')}`])).text;
}

function last(host: string) {
  const seen = sinks.get(host)?.seen.at(-1);
  if (seen === undefined) {
    throw new Error(`nothing arrived at ${host}`);
  }
  return seen;
}

async function isRefused(host: string, sent: Sent, reason: string): Promise<void> {
  const before = sinks.get(host)?.seen.length;
  expect(await send(host, sent)).toContain(`x-casemate-denied: ${reason}`);
  expect(sinks.get(host)?.seen.length).toBe(before);
}

describe('as the password of Basic', () => {
  const host = 'basic.example.com';
  const wanted = `Basic ${Buffer.from(`x-access-token:${real}`).toString('base64')}`;
  const basic = (pair: string): string => `Authorization: Basic ${Buffer.from(pair).toString('base64')}`;

  test('the control: with the phantom in any form git and packagers use, or with nothing', async () => {
    for (const lines of [
      [],
      [basic(`x-access-token:${stand}`)],
      [basic(`${stand}:x-oauth-basic`)],
      [`Authorization: Bearer ${stand}`],
    ]) {
      expect(await send(host, { lines })).toMatch(/^HTTP\/1\.1 200 /);
      expect(last(host).headers['authorization']).toBe(wanted);
      expect(JSON.stringify(last(host))).not.toContain(stand);
    }
  });

  test.each([basic('me:mine'), basic(`me:${stand}x`), 'Authorization: Bearer mine', `X-Api-Key: ${real}`])(
    'a key of the caller is refused: %s',
    async (line) => {
      await isRefused(host, { lines: [line] }, 'foreign-key');
    },
  );

  test('an answer that shows it, as it is or in base64, is scrubbed', async () => {
    echo = `you sent ${wanted} which is ${real}`;
    const text = await send(host, {});
    echo = '';
    expect(text).not.toContain(real);
    expect(text).not.toContain(wanted.slice(30, -6));
    expect(text).toContain('you sent Basic ');
  });
});

describe('in a parameter of the query', () => {
  const host = 'query.example.com';

  test.each([
    ['/x', `/x?api_key=${real}`],
    ['/x?a=1', `/x?a=1&api_key=${real}`],
    [`/x?api_key=${stand}&a=1`, `/x?api_key=${real}&a=1`],
    [`/x?a=1&api%5Fkey=${stand}`, `/x?a=1&api%5Fkey=${real}`],
  ])('the control: %s goes on as %s', async (target, wanted) => {
    expect(await send(host, { target })).toMatch(/^HTTP\/1\.1 200 /);
    expect(last(host).url).toBe(wanted);
  });

  test.each([
    '/x?api_key=mine',
    `/x?api_key=${stand}&api_key=mine`,
    `/x?api_key=${stand}&API_KEY=mine`,
    `/x?api_key=${stand}&api.key=mine`,
    `/x?api_key=${stand}&a=1;api_key=mine`,
    `/x?api_key[]=mine`,
    `/x?api_key=`,
    `/x?access_token=mine`,
    '/x?X-Amz-Signature=abc',
  ])('a key of the caller is refused: %s', async (target) => {
    await isRefused(host, { target }, 'foreign-key');
  });

  test('the phantom in another parameter is refused, and neither is in the journal', async () => {
    await isRefused(host, { target: `/x?note=${stand}` }, 'phantom-misplaced');
    expect(JSON.stringify(lab.entries)).not.toContain(real);
    expect(JSON.stringify(lab.entries)).not.toContain(stand);
  });
});

describe('in a field of the content', () => {
  const host = 'body.example.com';
  const json = ['Content-Type: application/json'];
  const form = ['Content-Type: application/x-www-form-urlencoded'];

  test.each([
    [json, `{"a":[1,{"b":"}"}],"api_key":"${stand}"}`, `{"a":[1,{"b":"}"}],"api_key":"${real}"}`],
    [json, '{}', `{"api_key":"${real}"}`],
    [json, ' {"a" : 1 } ', ` {"a" : 1 ,"api_key":"${real}"} `],
    [
      ['Content-Type: application/json; charset=utf-8'],
      '{"name":"é"}',
      Buffer.from(`{"name":"é","api_key":"${real}"}`).toString('latin1'),
    ],
    [form, `a=1&api_key=${stand}&b=2`, `a=1&api_key=${real}&b=2`],
    [form, 'a=1', `a=1&api_key=${real}`],
  ])('the control: %s %s goes on as %s', async (lines, body, wanted) => {
    expect(await send(host, { lines, body })).toMatch(/^HTTP\/1\.1 200 /);
    expect(last(host).body).toBe(wanted);
    expect(last(host).headers['content-length']).toBe(String(wanted.length));
  });

  test.each([
    [json, '{"api_key":"mine"}'],
    [json, `{"api_key":"${stand}","API_KEY":"mine"}`],
    [json, `{"api_key":["${stand}"]}`],
    [form, 'api_key=mine'],
    [form, `api_key=${stand}&api_key=mine`],
    [form, `a=1;api_key=mine`],
  ])('a key of the caller is refused: %s %s', async (lines, body) => {
    await isRefused(host, { lines, body }, 'foreign-key');
  });

  test.each([
    [json, `{"a":1,"a":2}`],
    [json, `{"api_key":"${stand}","api_key":"mine"}`],
    [json, `{"api_key":"${stand}","api\\u005fkey":"mine"}`],
    [json, `[{"api_key":"mine"}]`],
    [json, '{"a":1}{"api_key":"mine"}'],
    [json, '\u{feff}{}'],
    [['Content-Type: text/plain'], '{}'],
    [['Content-Type: application/json; charset=utf-16'], '{}'],
    [[...json, 'Content-Encoding: x-own'], '{}'],
    [[...json, 'Content-Type: text/plain'], '{}'],
    [form, 'a=%zz'],
    [[], undefined],
  ])('what could be read in two ways is refused: %s %s', async (lines, body) => {
    await isRefused(host, { lines, body }, 'content-not-readable');
  });

  test('more than a megabyte is refused', async () => {
    await isRefused(host, { lines: json, body: `{"a":"${'x'.repeat(1024 * 1024)}"}` }, 'content-too-large');
  });

  test('the phantom anywhere else in the content is made unreadable and noted', async () => {
    await send(host, { lines: json, body: `{"note":"${stand}"}` });
    expect(last(host).body).toBe(`{"note":"${'*'.repeat(stand.length)}","api_key":"${real}"}`);
    await lab.settled();
    expect(lab.actions().some((line) => line.startsWith('alarm.phantom-misplaced none masked'))).toBe(true);
  });
});

describe('in a signature of AWS', () => {
  const signedBy = (id: string, { region = 'eu-west-1', service = 'bedrock' } = {}): string =>
    `Authorization: AWS4-HMAC-SHA256 Credential=${id}/20261121/${region}/${service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`;
  const model = '/model/anthropic.claude-v1:0/invoke';
  const asSts = [signedBy(awsId, { region: 'us-east-1', service: 'sts' })];
  const asIam = [signedBy(awsId, { region: 'us-east-1', service: 'iam' })];
  const inside = [
    signedBy(awsId),
    'X-Amz-Date: 20200101T000000Z',
    'X-Amz-Security-Token: cmph/secret00000000000000000000000000000',
    'Content-Type: application/json',
  ];

  function arrived(host: string): WireRequest {
    const { method, url, body } = last(host);
    return { method, target: url, fields: seenFields.get(host) ?? [], body: Buffer.from(body, 'latin1') };
  }

  test('the control: signed anew with the real keys over what is sent, and nothing of the phantom keys goes on', async () => {
    expect(await send(bedrock, { target: `${model}?a=b%20c`, lines: inside, body: '{"max_tokens":1}' })).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect(signatureFault(arrived(bedrock), awsReal)).toBeUndefined();
    expect(last(bedrock).headers['x-amz-date']).not.toBe('20200101T000000Z');
    const whole = JSON.stringify(last(bedrock));
    expect(whole).not.toContain(awsId);
    expect(whole).not.toContain('cmph/');
    expect(whole).not.toContain(awsReal.secretAccessKey);
    expect(last(bedrock).headers['x-amz-security-token']).toBe(awsReal.sessionToken);
  });

  test('a phantom in the content is made unreadable before it is signed', async () => {
    await send(bedrock, { target: model, lines: inside, body: `{"text":"${awsId}"}` });
    expect(last(bedrock).body).toBe(`{"text":"${'*'.repeat(awsId.length)}"}`);
    expect(signatureFault(arrived(bedrock), awsReal)).toBeUndefined();
  });

  test('an upload to S3 that is not signed stays so, and is not held back', async () => {
    const lines = [signedBy(awsId, { service: 's3' }), 'X-Amz-Content-Sha256: UNSIGNED-PAYLOAD'];
    await send(s3, { method: 'PUT', target: '/bucket/a%20b%2Bc.txt', lines, body: 'content' });
    expect(last(s3).headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
    expect(last(s3).body).toBe('content');
    expect(signatureFault(arrived(s3), awsReal)).toBeUndefined();
  });

  test.each([
    ['another key', [signedBy('AKIAIOSFODNN7EXAMPLE')]],
    ['a bearer token', ['Authorization: Bearer bedrock-api-key-mine']],
    ['a second signature', [signedBy(awsId), signedBy('AKIAIOSFODNN7EXAMPLE')]],
    ['a token of its own', [signedBy(awsId), 'X-Amz-Security-Token: mine']],
    ['version 4A', [signedBy(awsId).replace('HMAC-SHA256', 'ECDSA-P256-SHA256')]],
    ['version 2', ['Authorization: AWS AKIAIOSFODNN7EXAMPLE:c2lnbmF0dXJl']],
  ])('a key of the caller is refused: %s', async (_, lines) => {
    await isRefused(bedrock, { target: model, lines, body: '{}' }, 'foreign-key');
  });

  test('pages and objects that are called tokens and keys are no keys', async () => {
    const lines = [signedBy(awsId, { service: 's3' })];
    expect(await send(s3, { method: 'GET', target: '/bucket?key=a&token=b&list-type=2', lines })).toMatch(/^HTTP\/1\.1 200 /);
    expect(signatureFault(arrived(s3), awsReal)).toBeUndefined();
  });

  test.each([
    `/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature=00`,
    `/bucket/key?x-amz-signature=00`,
    '/bucket/key?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=00',
  ])('an address that is signed is refused: %s', async (target) => {
    await isRefused(s3, { method: 'GET', target, lines: [signedBy(awsId, { service: 's3' })] }, 'foreign-key');
  });

  test.each([
    ['no signature', bedrock, {}],
    ['another region', bedrock, { lines: [signedBy(awsId, { region: 'us-east-1' })] }],
    ['another service', bedrock, { lines: [signedBy(awsId, { service: 's3' })] }],
    [
      'content in signed pieces',
      s3,
      { lines: [signedBy(awsId, { service: 's3' }), 'X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD'] },
    ],
    ['unsigned content where it is not taken', bedrock, { lines: [signedBy(awsId), 'X-Amz-Content-Sha256: UNSIGNED-PAYLOAD'] }],
    ['a plus in the query', bedrock, { target: '/?a=b+c', lines: inside }],
    ['fresh keys from STS', sts, { lines: asSts, body: 'Action=AssumeRole' }],
    [
      'fresh keys from STS, hidden',
      sts,
      {
        target: '/?Action=GetSessionToken',
        lines: asSts,
        body: 'Action=GetCallerIdentity',
      },
    ],
    [
      'fresh keys from STS, by another protocol',
      sts,
      {
        target: '/service/AWSSecurityTokenServiceV20110615/operation/AssumeRole',
        lines: asSts,
        body: 'Action=GetCallerIdentity',
      },
    ],
    ['fresh keys from IAM', iam, { lines: asIam, body: 'UserName=a&Action=CreateAccess%4bey' }],
    ['more names than one', iam, { lines: asIam, body: `${'Action=ListUsers&'.repeat(16)}Action=CreateAccessKey` }],
    ['fresh keys from IAM, compressed', iam, { lines: [...asIam, 'Content-Encoding: aws-chunked'], body: 'x' }],
    [
      'a token of the container registry',
      ecr,
      {
        lines: [signedBy(awsId, { service: 'ecr' }), 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken'],
      },
    ],
    ['a session of S3', s3, { method: 'GET', target: '/?session', lines: [signedBy(awsId, { service: 's3' })], body: undefined }],
  ] as [string, string, Sent][])('what cannot be signed truly is refused: %s', async (_, host, sent) => {
    await isRefused(host, { body: '{}', ...sent }, 'not-signable');
  });

  test('nor is a call that names itself in content of another charset', async () => {
    const lines = [...asSts, 'Content-Type: application/json; charset=utf-16'];
    await isRefused(sts, { target: '/?Action=GetCallerIdentity', lines, body: 'unreadable' }, 'not-signable');
  });

  test('other calls of the same services are signed', async () => {
    const lines = [signedBy(awsId, { service: 'ecr' }), 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.ListImages'];
    expect(await send(ecr, { target: '/', lines, body: '{}' })).toMatch(/^HTTP\/1\.1 200 /);
    expect(signatureFault(arrived(ecr), awsReal)).toBeUndefined();
  });

  test('who one is may be asked of STS', async () => {
    const lines = [...asSts, 'Content-Type: application/x-www-form-urlencoded'];
    expect(await send(sts, { target: '/', lines, body: 'Action=GetCallerIdentity&Version=2011-06-15' })).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect(signatureFault(arrived(sts), awsReal)).toBeUndefined();
  });

  test('an answer that shows the keys is scrubbed', async () => {
    echo = `SignatureDoesNotMatch ${awsReal.sessionToken} ${awsReal.secretAccessKey}`;
    const text = await send(bedrock, { target: model, lines: inside, body: '{}' });
    echo = '';
    expect(text).toContain('SignatureDoesNotMatch');
    expect(text).not.toContain(awsReal.sessionToken);
    expect(text).not.toContain(awsReal.secretAccessKey);
  });
});
