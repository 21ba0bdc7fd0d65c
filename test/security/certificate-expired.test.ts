import { createServer } from 'node:https';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { createAuthority, createLeafSigner } from '../../src/gateway/tls/authority.ts';
import { canary, createLab, credential, listen, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';

/** GWP-27. The threat: an upstream whose certificate has run out, or is not yet valid, from an authority that is trusted. */

const host = 'api.example.com';
const dayMs = 86_400_000;
let lab: Lab;
let trusted = '';
const authorities = new Map<string, Awaited<ReturnType<typeof createAuthority>>>();
beforeAll(async () => {
  const now = Date.now();
  authorities.set('has run out', await createAuthority({ name: 'past', nowMs: now - 10 * dayMs, lifeMs: 5 * dayMs }));
  authorities.set('is not yet valid', await createAuthority({ name: 'future', nowMs: now + 5 * dayMs, lifeMs: 5 * dayMs }));
  authorities.set('is valid', await createAuthority({ name: 'present' }));
  trusted = [...authorities.values()].map(({ certificatePem }) => certificatePem).join('\n');
  lab = await createLab({
    rules: [rule(host, { credential: 'anthropic' })],
    credentials: [credential()],
    gateway: { trustStorePem: trusted },
  });
});
afterAll(() => lab.close());

test.each([
  ['has run out', 502],
  ['is not yet valid', 502],
  ['is valid', 200],
] as const)('a request to a certificate that %s ends in %d', async (which, status) => {
  const authority = authorities.get(which);
  if (authority === undefined) {
    throw new Error('there is no such authority');
  }
  const leaves = await createLeafSigner(authority);
  const seen: string[] = [];
  const server = createServer({ key: leaves.privateKeyPem, cert: await leaves.sign(host) }, (request, response) => {
    seen.push(String(request.headers['x-api-key']));
    response.end('hello');
  });
  lab.route(host, 443, await listen(server));
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const { text } = await talk(socket, [`GET / HTTP/1.1\r\nHost: ${host}\r\nx-api-key: ${phantom}\r\nConnection: close\r\n\r\n`], {
    quietMs: 3000,
  });
  expect(Number(text.slice(9, 12))).toBe(status);
  expect(seen).toEqual(status === 200 ? [canary] : []);
  if (status !== 200) {
    expect(text).toContain('x-casemate-denied: certificate');
  }
  server.close();
});
