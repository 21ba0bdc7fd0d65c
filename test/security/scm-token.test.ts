import { afterAll, beforeAll, expect, test } from 'vitest';

import { presetRules } from '../../src/policy/layers/presets.ts';
import { canary, createLab, credential, phantom, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** SEC-14: a token for a forge that is put in by the preset reads, and cannot be made to do anything else. */

const host = 'api.github.com';
const facts = { agents: {}, registries: { npm: [], debian: [], pypi: [] }, home: '/home/user', stored: ['github'] };
let lab: Lab;
let api: Sink;
let web: Sink;

beforeAll(async () => {
  const rules = presetRules({ name: 'github', origin: { layer: 'user', source: 'policy.yaml' } }, { facts, telemetry: false });
  const token = credential({
    name: 'github',
    provider: 'github',
    identityHeaders: ['authorization', 'cookie'],
    inject: { kind: 'header', header: 'authorization', format: 'Bearer {}' },
  });
  lab = await createLab({ rules, credentials: [token] });
  api = await sinkAt(lab, host, 443);
  web = await sinkAt(lab, 'github.com', 443);
});
afterAll(async () => {
  await lab.close();
  api.close();
  web.close();
});

async function ask(method: string, path: string, at = host): Promise<string> {
  const socket = await tlsTo(await lab.open(at, 443), at, { ca: lab.authority.certificatePem });
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${at}\r\nAuthorization: Bearer ${phantom}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;
  return (await talk(socket, [head], { quietMs: 5000 })).text;
}

test('the control: what the preset names is read, with the token', async () => {
  expect(await ask('GET', '/repos/o/r/issues?state=open')).toContain('200 OK');
  expect(api.seen.at(-1)?.headers['authorization']).toBe(`Bearer ${canary}`);
});

test('fields by which a server would carry out something else do not go on', async () => {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const fields = [
    'X-HTTP-Method-Override: DELETE',
    'X-HTTP-Method: PUT',
    'X-Original-URL: /gists',
    'X-Rewrite-URL: /gists',
    'X-Original-Path: /gists',
    'X-Envoy-Original-Path: /gists',
    'X-WAWS-Unencoded-URL: /gists',
    'X-HTTP-Path-Override: /gists',
    'X_HTTP_Method_Override: DELETE',
    'X.HTTP.Method.Override: DELETE',
    'X+HTTP-Method~Override: DELETE',
    'X-Original_URL: /gists',
    'X_Forwarded_Host: evil.example',
    'Content_Encoding: gzip',
    'Content.Type: application/x-www-form-urlencoded',
    'Content_Type: application/x-www-form-urlencoded',
    'X-Harmless: 1',
    'X_Harmless: 1',
  ];
  await talk(socket, [`GET /repos/o/r HTTP/1.1\r\nHost: ${host}\r\n${fields.join('\r\n')}\r\nConnection: close\r\n\r\n`], {
    quietMs: 5000,
  });
  const names = Object.keys(api.seen.at(-1)?.headers ?? {});
  expect(names).toEqual(expect.arrayContaining(['x-harmless', 'x_harmless']));
  expect(names.filter((name) => /method|url|path|forwarded|content/.test(name))).toEqual([]);
});

test.each([
  '_method=delete',
  '%5Fmethod=DELETE',
  '$httpMethod=DELETE',
  '_HttpMethod=PATCH',
  'a=1;_method=PUT',
  'X-HTTP-Method-Override=PUT',
])('a parameter by which a server would carry out something else is refused: %s', async (query) => {
  const before = api.seen.length;
  expect(await ask('GET', `/repos/o/r?${query}`)).toContain('HTTP/1.1 403');
  expect(api.seen.length).toBe(before);
});

test('one that names what is judged, or only looks like it, goes on', async () => {
  for (const query of ['_method=get', 'method=DELETE', 'x=_method%3DDELETE']) {
    expect(await ask('GET', `/repos/o/r?${query}`)).toContain('200 OK');
  }
});

test.each([
  ['POST', '/gists'],
  ['POST', '/user/keys'],
  ['PUT', '/repos/o/r/collaborators/x'],
  ['POST', '/repos/o/r/hooks'],
  ['POST', '/repos/attacker/x/git/blobs'],
  ['PUT', '/repos/o/r/actions/secrets/x'],
  ['POST', '/graphql'],
  ['DELETE', '/repos/o/r'],
  ['PATCH', '/repos/o/r'],
  ['GET', '/user/emails'],
  ['GET', '/user/keys'],
  ['GET', '/notifications'],
  ['GET', '/repos/../user/emails'],
  ['GET', '/repos/%2e%2e/user/emails'],
])('%s %s is refused', async (method, path) => {
  const before = api.seen.length;
  expect(await ask(method, path)).toContain('HTTP/1.1 403');
  expect(api.seen.length).toBe(before);
});

test.each([
  ['POST', '/o/r.git/git-receive-pack'],
  ['GET', '/o/r.git/info/refs?service=git-receive-pack'],
  ['POST', '/o/r.git/info/lfs/locks'],
  ['POST', '/session'],
])('a push is refused before its first answer: %s %s', async (method, path) => {
  expect(await ask(method, path, 'github.com')).toContain('HTTP/1.1 403');
  expect(web.seen).toEqual([]);
});
