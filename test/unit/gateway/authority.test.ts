import { X509Certificate } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createAuthority, createLeafSigner } from '../../../src/gateway/tls/authority.ts';
import { createLeafStore } from '../../../src/gateway/tls/leaf-store.ts';

const day = 86_400_000;
const nowMs = Date.UTC(2026, 10, 21);

describe('the authority of a sandbox', () => {
  test('signs leaves only, for 30 days, and is not the one of another sandbox', async () => {
    const [one, other] = await Promise.all([createAuthority({ name: 'one', nowMs }), createAuthority({ name: 'one', nowMs })]);
    const certificate = new X509Certificate(one.certificatePem);
    expect(certificate.ca).toBe(true);
    expect(certificate.subject).toContain('CN=casemate one');
    expect(Date.parse(certificate.validTo) - nowMs).toBe(30 * day);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    // Path length 0 (RFC 5280 section 4.2.1.9): BasicConstraints { cA TRUE, pathLenConstraint 0 }.
    expect(certificate.raw.includes(Buffer.from('30060101ff020100', 'hex'))).toBe(true);
    expect(other.privateKeyPem).not.toBe(one.privateKeyPem);
    expect(new X509Certificate(other.certificatePem).fingerprint256).not.toBe(certificate.fingerprint256);
  });

  test('its leaves are for one name, no authorities, and not longer alive than it is', async () => {
    const authority = await createAuthority({ name: 'one', nowMs });
    const parent = new X509Certificate(authority.certificatePem);
    const signer = await createLeafSigner(authority);
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.com`;
    for (const host of ['api.example.com', long]) {
      const leaf = new X509Certificate(await signer.sign(host));
      expect(leaf.checkIssued(parent) && leaf.verify(parent.publicKey)).toBe(true);
      expect(leaf.checkHost(host)).toBe(host);
      expect(leaf.checkHost('other.example.com')).toBeUndefined();
      expect(leaf.ca).toBe(false);
      expect(leaf.validTo).toBe(parent.validTo);
      expect(leaf.serialNumber).toMatch(/^[4-7]/);
    }
  });
});

test('certificates are made once a host, at a bounded rate, and a bounded number is kept', async () => {
  const authority = await createAuthority({ name: 'one', nowMs });
  let now = 0;
  const store = createLeafStore({ authority, clock: { nowMs: () => 0, monotonicMs: () => now }, perSecond: 3, kept: 2 });
  const [first, again] = await Promise.all([store.contextFor('a.example.com'), store.contextFor('a.example.com')]);
  expect(first).toBe(again);
  await store.contextFor('b.example.com');
  await store.contextFor('c.example.com');
  expect(await store.contextFor('d.example.com')).toBeUndefined();
  expect(await store.contextFor('c.example.com')).toBeDefined();
  now = 1000;
  // The oldest was dropped, and is made anew.
  expect(await store.contextFor('a.example.com')).not.toBe(first);
});
