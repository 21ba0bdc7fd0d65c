import fc from 'fast-check';
import { expect, test } from 'vitest';

import { registryKinds } from '../../../src/policy/facts.ts';
import { isRegistryRead } from '../../../src/policy/judging/registry-path.ts';
import { ownTime } from '../../helpers/own-time.ts';

test.each([
  ['npm', '/lodash'],
  ['npm', '/@scope%2fname'],
  ['npm', '/@scope/name'],
  ['npm', '/mirror/npm/lodash/latest'],
  ['npm', '/@a/b/-/b-1.0.0.tgz'],
  ['npm', '/-/package/lodash/dist-tags'],
  ['pypi', '/simple/requests/'],
  ['pypi', '/root/mirror/+simple/requests/'],
  ['pypi', `/packages/ab/cd/${'e'.repeat(60)}/zope.interface-5.0.tar.gz`],
  ['pypi', '/pypi/requests/2.0/json'],
  ['debian', '/debian/dists/stable/InRelease'],
  ['debian', '/core:/stable:/v1.30/deb/Packages.gz'],
] as const)('a client of %s reads %s', (kind, path) => {
  expect(isRegistryRead(kind, { method: 'GET', path })).toBe(true);
  expect(isRegistryRead(kind, { method: 'HEAD', path })).toBe(true);
  for (const method of ['PUT', 'POST', 'DELETE', 'get']) {
    expect(isRegistryRead(kind, { method, path })).toBe(false);
  }
});

test.each([
  ['npm', '/-/whoami'],
  ['npm', '/-/npm/v1/tokens'],
  ['npm', '/mirror/-/npm/v1/user'],
  ['npm', '/-/user/org.couchdb.user:x'],
  ['npm', '/-/v1/search?text=x'],
  ['npm', '/a/../b'],
  ['npm', '/a//b'],
  ['npm', '/a b'],
  ['npm', '/lodash?x='.padEnd(400, 'x')],
  ['pypi', '/manage/account'],
  ['pypi', '/simple/-x-/'],
  ['debian', '/anything'],
] as const)('%s: %s is no read of a package', (kind, path) => {
  expect(isRegistryRead(kind, { method: 'GET', path })).toBe(false);
});

test('every path is answered at once, whatever it holds', () => {
  const part = fc.oneof(fc.string({ maxLength: 200 }), fc.constantFrom('-', 'a'.repeat(128), '%2f', '@', 'a-', '/'));
  fc.assert(
    fc.property(fc.constantFrom(...registryKinds), fc.array(part, { maxLength: 200 }), (kind, parts) => {
      const usedMs = ownTime();
      isRegistryRead(kind, { method: 'GET', path: `/${parts.join('/')}`.slice(0, 2048) });
      expect(usedMs()).toBeLessThan(200);
    }),
  );
});
