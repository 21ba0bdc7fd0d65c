import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { providers } from '../../src/credentials/providers.ts';
import { canary, createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';

/** SEC-04, 06: no other account at an allowed host, in whatever spelling; no piece and no session of the real one comes back. */

const canaryWithSigns = 'CANARY/9f8e+7d6c<5b4a>3928&1706=f5e4\'d3c2"b1a0';

let lab: Lab;
let sink: Sink;
let respond: Respond | undefined;

beforeAll(async () => {
  const generic = { inject: { kind: 'header', header: 'authorization', format: 'Bearer {}' } } as const;
  lab = await createLab({
    rules: [
      rule('api.example.com', { credential: 'anthropic' }),
      rule('any.example.com', { credential: 'any' }),
      rule('signs.example.com', { credential: 'signs' }),
      rule('moved.example.com', { credential: 'moved' }),
      rule('free.example.com', { http: [{ methods: undefined, path: '/**' }] }),
      rule('goo.example.com', { credential: 'google' }),
      rule('form.example.com', { credential: 'form' }),
    ],
    credentials: [
      credential(),
      credential({ name: 'any', ...generic, identityHeaders: [...providers.bearer.identityHeaders] }),
      credential({ name: 'google', ...generic, identityHeaders: [...providers.google.identityHeaders] }),
      credential({ name: 'form', inject: { kind: 'body', field: 'client_secret' } }),
      credential({ name: 'moved', ...generic, isStandIn: (text) => text === 'stand-in-of-another-time' }),
      credential({ name: 'signs', obtain: async () => ({ kind: 'text', secret: { reveal: () => canaryWithSigns } }) }),
    ],
  });
  sink = await sinkAt(lab, 'api.example.com', 443, {
    respond: (request, response, seen) =>
      void request.once('end', () => void (respond === undefined ? response.end('fine') : respond(request, response, seen))),
  });
  for (const name of ['any', 'signs', 'free', 'goo', 'moved', 'form']) {
    const host = `${name}.example.com`;
    const certificate = await sinkAt(lab, host, 443, {
      respond: (request, response, seen) => {
        sink.seen.push(seen);
        void request.once('end', () => void (respond === undefined ? response.end('fine') : respond(request, response, seen)));
      },
    });
    others.push(certificate);
  }
});
const others: Sink[] = [];
beforeEach(() => {
  respond = undefined;
});
afterAll(async () => {
  await lab.close();
  [sink, ...others].forEach((one) => one.close());
});

async function send(lines: string, { host = 'api.example.com', target = '/v1' } = {}): Promise<string> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const answer = await talk(socket, [`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n`]);
  return answer.text;
}

describe("a key of the caller's own", () => {
  test.each([
    // Servers behind CGI, WSGI or PHP read these as x-api-key and authorization.
    'x_api_key: ATT\r\n',
    'X.Api+Key: ATT\r\n',
    'X_API-Key: ATT\r\n',
    'proxy_authorization: Basic ATT\r\n',
    'x-goog-api-key: ATT\r\n',
    'private-token: ATT\r\n',
    'PRIVATE_TOKEN: ATT\r\n',
    'job-token: ATT\r\n',
    'deploy-token: ATT\r\n',
    'x-auth-token: ATT\r\n',
    'x-auth-key: ATT\r\nx-auth-email: att@example.com\r\n',
    'x-access-token: ATT\r\n',
    'apikey: ATT\r\n',
    'x-apikey: ATT\r\n',
    'token: ATT\r\n',
    'ocp-apim-subscription-key: ATT\r\n',
    'x-shopify-access-token: ATT\r\n',
    'x-vault-token: ATT\r\n',
    'x-amz-security-token: ATT\r\n',
    'Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.ATT, openai-beta.realtime-v1\r\n',
    'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.QVRU, base64.binary.k8s.io\r\n',
    'Sec-WebSocket-Protocol: access_token, ATT\r\n',
  ])('in %j is refused at every host with a credential', async (lines) => {
    for (const host of ['api.example.com', 'any.example.com']) {
      const before = sink.seen.length;
      expect(await send(lines, { host })).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: foreign-key/);
      expect(sink.seen).toHaveLength(before);
    }
  });

  test('headers that agents do send are no keys', async () => {
    const lines =
      'session_id: 1\r\nconversation_id: 2\r\nchatgpt-account-id: 3\r\nx-stainless-lang: js\r\nanthropic-version: 1\r\n' +
      'x-csrf-token: 4\r\nidempotency-key: 5\r\nx-request-id: 6\r\nnpm-session: 7\r\nx-codex-turn-metadata: {}\r\n' +
      'Sec-WebSocket-Protocol: graphql-transport-ws, openai-beta.realtime-v1, v4.channel.k8s.io\r\n';
    for (const host of ['api.example.com', 'any.example.com']) {
      expect(await send(lines, { host })).toMatch(/^HTTP\/1\.1 200 /);
    }
  });

  test('a stand-in of another time is no key of anybody else, and goes no further', async () => {
    const host = 'moved.example.com';
    expect(await send('Authorization: Bearer stand-in-of-another-time\r\n', { host })).toMatch(/^HTTP\/1\.1 200 /);
    expect(sink.seen.at(-1)?.headers['authorization']).toBe(`Bearer ${canary}`);
    expect(await send('Authorization: Bearer stand-in-of-another-timer\r\n', { host })).toContain('foreign-key');
  });

  test('the phantom under another spelling goes no further', async () => {
    expect(await send(`x_api_key: ${phantom}\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(sink.seen.at(-1)?.headers['x-api-key']).toBe(canary);
    expect(JSON.stringify(sink.seen.at(-1)?.headers)).not.toContain(phantom);
  });

  test.each([
    // Google reads whole headers from this parameter.
    '%24httpHeaders=Authorization%3A%20Bearer%20ATT',
    '$httpHeaders=X-Goog-Api-Key%3AATT',
    'subscription-key=ATT',
    'private_token=ATT',
    'job_token=ATT',
    'oauth_token=ATT',
    'bearer_token=ATT',
    'api.key=ATT',
    'access_token[]=ATT',
    'authorization=ATT',
    'apiKey=ATT',
  ])('in the query %s is refused', async (query) => {
    const before = sink.seen.length;
    expect(await send('', { host: 'goo.example.com', target: `/v1?${query}` })).toMatch(/^HTTP\/1\.1 403 /);
    expect(sink.seen).toHaveLength(before);
  });
});

describe('where the key goes into the content', () => {
  const token = async (query: string): Promise<string> => {
    const host = 'form.example.com';
    const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
    const head = `POST /token?${query} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
    return (await talk(socket, [`${head}Content-Length: 3\r\n\r\na=1`])).text;
  };

  test('the control: it goes there, whatever else is in the query', async () => {
    expect(await token('client=1')).toMatch(/^HTTP\/1\.1 200 /);
    expect(sink.seen.at(-1)?.body).toBe(`a=1&client_secret=${canary}`);
  });

  test.each(['client_secret=ATT', 'CLIENT%5fSECRET=ATT', 'a=1;client_secret=ATT', 'client_secret[]=ATT', 'client.secret=ATT'])(
    'one in the query, where some servers look first, is refused: %s',
    async (query) => {
      const before = sink.seen.length;
      expect(await token(query)).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-casemate-denied: foreign-key/);
      expect(sink.seen).toHaveLength(before);
    },
  );
});

describe('what comes back', () => {
  test('a session of the real account stays outside', async () => {
    respond = (_request, response) => {
      response.writeHead(200, { 'set-cookie': ['session=REAL; HttpOnly', 'other=REAL'], 'x-kept': 'yes' });
      response.end('fine');
    };
    const text = await send('');
    expect(text).toContain('x-kept: yes');
    expect(text).not.toContain('REAL');
    expect(await send('', { host: 'free.example.com' })).toContain('session=REAL');
  });

  test('an echo cannot be asked for in pieces', async () => {
    respond = (request, response) => {
      const body = Buffer.from(`key: ${String(request.headers['x-api-key'])}`);
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers['range'] ?? '');
      response.setHeader('accept-ranges', 'bytes');
      if (range === null) {
        response.end(body);
        return;
      }
      response.writeHead(206);
      response.end(body.subarray(Number(range[1]), Number(range[2]) + 1));
    };
    const pieces: string[] = [];
    for (let at = 0; at < canary.length + 5; at += 7) {
      pieces.push((await send(`Range: bytes=${at}-${at + 6}\r\nIf-Range: "x"\r\n`)).split('\r\n\r\n').slice(1).join(''));
    }
    expect(pieces.join('')).not.toContain(canary);
    expect(pieces[0]).toContain('key: ****');
    expect(await send('Range: bytes=0-6\r\n', { host: 'free.example.com' })).toMatch(/^HTTP\/1\.1 206 /);
  });

  const unicode = (upper: boolean) =>
    canaryWithSigns.replaceAll(/[^A-Za-z0-9]/g, (sign) => {
      const hex = sign.charCodeAt(0).toString(16).padStart(4, '0');
      return `\\u${upper ? hex.toUpperCase() : hex}`;
    });
  test.each([
    ['itself', canaryWithSigns],
    ['escaped for addresses', encodeURIComponent(canaryWithSigns)],
    ['escaped in lower case', encodeURIComponent(canaryWithSigns).replaceAll(/%[0-9A-F]{2}/g, (one) => one.toLowerCase())],
    ['escaped for forms', new URLSearchParams({ a: canaryWithSigns }).toString().slice(2)],
    ['as JSON', JSON.stringify(canaryWithSigns).slice(1, -1)],
    ['as JSON of PHP', JSON.stringify(canaryWithSigns).slice(1, -1).replaceAll('/', '\\/')],
    [
      'as JSON of Go',
      JSON.stringify(canaryWithSigns)
        .slice(1, -1)
        .replaceAll(/[<>&]/g, (s) => `\\u00${s.charCodeAt(0).toString(16)}`),
    ],
    ['with all signs escaped', unicode(false)],
    ['with all signs escaped in upper case', unicode(true)],
    [
      'as HTML',
      canaryWithSigns
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#39;'),
    ],
    [
      'as HTML of Python',
      canaryWithSigns
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#x27;'),
    ],
  ])('a key with signs in it, %s, is unreadable', async (_form, written) => {
    respond = (_request, response) => void response.end(`before ${written} after`);
    const text = await send('', { host: 'signs.example.com' });
    expect(text).toContain(`before ${'*'.repeat(written.length)} after`);
  });
});
