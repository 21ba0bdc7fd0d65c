/** DOS-23: whatever breaks inside the gateway while it carries one request out, that request alone ends by it. */
import { afterEach, expect, test } from 'vitest';

import type { BoundCredential } from '../../src/credentials/credential.ts';
import { createLab, credential, rule, type LabOptions } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

const broken = 'broken.example.com';
const fine = 'fine.example.com';
const faults: unknown[] = [];
const note = (fault: unknown): void => void faults.push(fault);
process.on('uncaughtException', note);
process.on('unhandledRejection', note);
afterEach(() => expect(faults.splice(0)).toEqual([]));

const fail = (): never => {
  throw new TypeError('injected');
};
const faulty = (parts: Partial<BoundCredential>): Partial<LabOptions> => ({
  credentials: [credential(), credential({ ...parts, name: 'faulty' })],
});

test.each<[string, Partial<LabOptions>]>([
  ['the lookup', { gateway: { resolve: (host) => (host === broken ? fail() : Promise.resolve(['93.184.216.34'])) } }],
  ['the lookup, later', { gateway: { resolve: async (host) => (host === broken ? fail() : ['93.184.216.34']) } }],
  ['the dial', { gateway: { dial: fail, dialRelay: fail } }],
  ['the source of the credential', faulty({ obtain: fail })],
  ['the source of the credential, later', faulty({ obtain: async () => fail() })],
  ['a value that is none', faulty({ obtain: async () => ({ kind: 'text', secret: { reveal: fail } }) })],
])('%s throws', async (_step, options) => {
  const lab = await createLab({
    rules: [
      rule(broken, { credential: options.credentials === undefined ? 'anthropic' : 'faulty' }),
      rule(fine, { credential: 'anthropic', upstream: 'http://127.0.0.1:9' }),
    ],
    credentials: [credential()],
    ...options,
  });
  const sink = await sinkAt(lab, broken, 443);
  const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const ca = lab.authority.certificatePem;
  const answer = await talk(await tlsTo(await lab.open(broken, 443), broken, { ca }), [get(broken)], { quietMs: 3000 });
  expect(answer.text).toMatch(/^HTTP\/1\.1 50\d |^$/);
  expect(answer.text).not.toContain('injected');
  // Another host is answered, even if only to say that nobody is there.
  const other = await talk(await tlsTo(await lab.open(fine, 443), fine, { ca }), [get(fine)], { quietMs: 3000 });
  expect(other.text).toMatch(/^HTTP\/1\.1 502 |^$/);
  await lab.settled();
  const opens = lab.entries.filter(({ action }) => action === 'net.open').length;
  const ends = lab.entries.filter(({ action, decision }) => action === 'net.exchange' && decision === 'allow').length;
  expect(ends, 'each permission has its end on record').toBe(opens);
  await lab.close();
  sink.close();
});
