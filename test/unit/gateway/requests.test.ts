import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import type { Exchange } from '../../../src/gateway/exchange.ts';
import type { Field } from '../../../src/gateway/http/fields.ts';
import { forwardedRequestFields, forwardedResponseFields } from '../../../src/gateway/http/fields.ts';
import { inject } from '../../../src/gateway/injection/inject.ts';
import { readHead } from '../../../src/gateway/http/request-head.ts';
import { explain } from '../../../src/gateway/exchange/deny.ts';
import { refuse, statusOf } from '../../../src/gateway/refusal.ts';
import type { BoundCredential, Material } from '../../../src/credentials/credential.ts';
import { ownTime } from '../../helpers/own-time.ts';

const asked = { host: parseHost('api.example.com'), port: 443 };

function exchange(parts: Partial<Exchange>): Exchange {
  return {
    version: '1.1',
    method: 'GET',
    target: '/',
    authorities: ['api.example.com'],
    fields: [],
    body: undefined,
    isWhole: () => true,
    trailers: () => [],
    sendTrailers: () => undefined,
    expectsContinue: false,
    signal: new AbortController().signal,
    sendContinue: () => undefined,
    respond: () => expect.fail('nothing is answered here'),
    hasResponded: () => false,
    cut: () => undefined,
    ...parts,
  };
}

describe('the head of a request', () => {
  const reason = (parts: Partial<Exchange>): string => {
    const result = readHead(exchange(parts), asked);
    return result.ok ? 'ok' : result.refusal.reason;
  };

  test.each([
    [{}, 'ok'],
    [{ authorities: ['API.example.com:443'] }, 'ok'],
    [{ target: '/a?b=http://x/' }, 'ok'],
    [{ authorities: [] }, 'malformed-request'],
    [{ authorities: ['api.example.com', 'evil.example.com'] }, 'authority-mismatch'],
    [{ authorities: ['api.example.com:80'] }, 'authority-mismatch'],
    [{ authorities: [' api.example.com'] }, 'authority-mismatch'],
    [{ authorities: ['api.example.com\0'] }, 'authority-mismatch'],
    [{ target: 'http://api.example.com/' }, 'target-not-allowed'],
    [{ target: '*' }, 'target-not-allowed'],
    [{ target: '' }, 'target-not-allowed'],
    [{ target: '/a#b' }, 'malformed-request'],
    [{ target: '/a b' }, 'malformed-request'],
    [{ target: '/\u00e9' }, 'malformed-request'],
    [{ method: 'CONNECT' }, 'target-not-allowed'],
    [{ method: 'get' }, 'malformed-request'],
    [{ method: 'G\0T' }, 'malformed-request'],
    [{ version: '1.0' as const }, 'ok'],
    [{ version: 'other' as const }, 'malformed-request'],
    [{ fields: [['transfer-encoding', 'chunked']] as Field[] }, 'ok'],
    [{ version: '1.0' as const, fields: [['transfer-encoding', 'chunked']] as Field[] }, 'malformed-request'],
    [{ fields: [['transfer-encoding', 'gzip, chunked']] as Field[] }, 'malformed-request'],
    [
      {
        fields: [
          ['transfer-encoding', 'chunked'],
          ['content-length', '1'],
        ] as Field[],
      },
      'malformed-request',
    ],
    [
      {
        fields: [
          ['content-length', '1'],
          ['content-length', '1'],
        ] as Field[],
      },
      'malformed-request',
    ],
    [{ fields: [['content-length', '+1']] as Field[] }, 'malformed-request'],
    [{ fields: [['content-length', '0x1']] as Field[] }, 'malformed-request'],
  ])('%j is %s', (parts, expected) => {
    expect(reason(parts)).toBe(expected);
  });
});

test('what belongs to one connection, or claims who asks, does not go on', () => {
  const fields: Field[] = [
    ['host', 'a'],
    ['connection', 'x-drop, close'],
    ['x-drop', '1'],
    ['te', 'trailers'],
    ['upgrade', 'x'],
    ['x-forwarded-for', '1.1.1.1'],
    ['via', 'x'],
    ['cookie', 'a=1'],
    ['cookie', 'b=2'],
    ['accept', '*/*'],
  ];
  expect(forwardedRequestFields(fields)).toEqual([
    ['accept', '*/*'],
    ['cookie', 'a=1; b=2'],
  ]);
  expect(
    forwardedResponseFields([
      ['alt-svc', 'h3'],
      ['connection', 'x'],
      ['x', '1'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
      ['transfer-encoding', 'chunked'],
    ]),
  ).toEqual([
    ['set-cookie', 'a'],
    ['set-cookie', 'b'],
  ]);
});

describe('the credential', () => {
  const phantom = 'glpat-phantom-0123456789';
  const material: Material = { kind: 'text', secret: { reveal: () => 'cmVhbA==$&' } };
  const credential: BoundCredential = {
    name: 'git',
    provider: 'header',
    phantom,
    phantoms: () => [phantom],
    identityHeaders: ['authorization', 'cookie', 'private-token'],
    inject: { kind: 'header', header: 'Authorization', format: 'Basic {}' },
    obtain: async () => material,
  };
  const about = {
    method: 'GET',
    host: 'api.example.com',
    authority: 'api.example.com',
    content: undefined,
    nowMs: 0,
  };
  const result = (fields: Field[], target = '/') =>
    inject({ ...about, fields, target, credential, phantoms: [phantom, 'another-phantom'] });

  test('takes the place of the phantom in the declared header, in its format, once', async () => {
    const fine: Field[][] = [
      [],
      [['authorization', `Basic ${phantom}`]],
      [['authorization', `bearer ${phantom}`]],
      [['private-token', phantom]],
      [['authorization', `Basic ${Buffer.from(`oauth2:${phantom}`).toString('base64')}`]],
    ];
    for (const fields of fine) {
      expect(await result([...fields, ['accept', '*/*']])).toEqual({
        ok: true,
        outgoing: {
          target: '/',
          fields: [
            ['accept', '*/*'],
            ['accept-encoding', 'identity'],
            ['authorization', 'Basic cmVhbA==$&'],
          ],
          secret: 'cmVhbA==$&',
          material,
        },
      });
    }
  });

  test.each([
    [[['authorization', 'Bearer mine']], 'foreign-key'],
    [[['authorization', `Basic ${Buffer.from('user:mine').toString('base64')}`]], 'foreign-key'],
    [[['authorization', `Digest ${phantom}`]], 'foreign-key'],
    [
      [
        ['private-token', 'mine'],
        ['authorization', `Bearer ${phantom}`],
      ],
      'foreign-key',
    ],
    [[['cookie', `s=${phantom}`]], 'foreign-key'],
    [[['x-note', 'another-phantom']], 'phantom-misplaced'],
    [[['x-note', encodeURIComponent(phantom).replace('g', '%67')]], 'phantom-misplaced'],
  ] as [Field[], string][])('%j is refused as %s', async (fields, reason) => {
    expect(await result(fields)).toMatchObject({ ok: false, refusal: { reason } });
  });

  test('whose value would break out of its header is not used', async () => {
    const broken: BoundCredential = {
      ...credential,
      obtain: async () => ({ kind: 'text', secret: { reveal: () => 'a\r\nx: y' } }),
    };
    expect(await inject({ ...about, fields: [], target: '/', credential: broken, phantoms: [] })).toMatchObject({
      ok: false,
      refusal: { reason: 'credential-unavailable' },
    });
  });

  test('DOS-18: long targets and headers are judged quickly', async () => {
    const usedMs = ownTime();
    await result(
      [
        ['x', 'a'.repeat(60_000)],
        ['authorization', `Basic ${'A'.repeat(60_000)}`],
      ],
      `/${'%2e'.repeat(20_000)}?${'a=b&'.repeat(10_000)}`,
    );
    readHead(exchange({ target: `/${'a'.repeat(60_000)}!`, authorities: ['a'.repeat(60_000)] }), asked);
    expect(usedMs()).toBeLessThan(200);
  });
});

describe('a refusal', () => {
  const about = {
    scheme: 'https' as const,
    host: 'api.example.com',
    port: 443,
    method: 'GET',
    path: '/\u001b[31mx',
    fields: [] as Field[],
  };

  test('is short text for people, with control characters made visible', () => {
    const { status, body, fields } = explain(
      refuse('function-not-allowed', 'no such function', 'project:casemate.yaml:12'),
      about,
    );
    expect(status).toBe(403);
    expect(fields).toContainEqual(['x-casemate-denied', 'function-not-allowed']);
    expect(body.toString()).toContain('project:casemate.yaml:12');
    expect(body.toString()).not.toContain('\u001b');
    expect(body.length).toBeLessThan(600);
  });

  test('is JSON for clients that speak it', () => {
    for (const fields of [
      [['accept', 'application/json']],
      [
        ['content-type', 'application/json'],
        ['accept', '*/*'],
      ],
      [['accept', 'text/event-stream']],
    ] as Field[][]) {
      expect(JSON.parse(explain(refuse('host-not-allowed', 'no rule'), { ...about, fields }).body.toString())).toMatchObject({
        type: 'error',
        error: { code: 'host-not-allowed' },
      });
    }
  });

  test('has a status of its own for each kind', () => {
    expect(
      (['authority-mismatch', 'slow', 'certificate', 'journal-unwritable', 'headers-too-large', 'host-not-allowed'] as const).map(
        statusOf,
      ),
    ).toEqual([421, 504, 502, 503, 431, 403]);
  });
});
