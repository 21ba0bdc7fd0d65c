import { expect, test } from 'vitest';

import { trustBundle, trustEnvironment } from '../../../src/agents/trust.ts';

/** The trust of a sandbox: the host's store and the sandbox's authority, for every usual tool. */

test('every variable names the one bundle', () => {
  const env = trustEnvironment('/bundle.pem');
  expect(new Set(Object.values(env))).toEqual(new Set(['/bundle.pem']));
  for (const name of [
    'SSL_CERT_FILE',
    'NODE_EXTRA_CA_CERTS',
    'REQUESTS_CA_BUNDLE',
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'CODEX_CA_CERTIFICATE',
  ]) {
    expect(env).toHaveProperty(name);
  }
});

test('the bundle holds both, each block on lines of its own', () => {
  expect(trustBundle('A\r\nB', 'C')).toBe('A\nB\nC\n');
  expect(trustBundle('A\n\n', '\nC\n')).toBe('A\nC\n');
  expect(trustBundle('', 'C')).toBe('C\n');
});
