import fc from 'fast-check';
import { expect, test } from 'vitest';

import { registryKinds } from '../../../src/policy/facts.ts';
import { readRegistryPath } from '../../../src/policy/registry-path.ts';

test.each([
  ['npm', '/lodash', 'lodash'],
  ['npm', '/@scope%2fname', '@scope%2fname'],
  ['npm', '/@scope/name', '@scope/name'],
  ['npm', '/mirror/npm/lodash/latest', 'lodash'],
  ['npm', '/@a/b/-/b-1.0.0.tgz', '@a/b'],
  ['npm', '/-/package/lodash/dist-tags', 'lodash'],
  ['pypi', '/simple/requests/', 'requests'],
  ['pypi', '/root/mirror/+simple/requests/', 'requests'],
  ['pypi', `/packages/ab/cd/${'e'.repeat(60)}/zope.interface-5.0.tar.gz`, 'zope.interface'],
  ['pypi', '/pypi/requests/2.0/json', 'requests'],
  ['debian', '/debian/dists/stable/InRelease', 'stable/inrelease'],
  ['debian', '/core:/stable:/v1.30/deb/Packages.gz', 'packages.gz'],
] as const)('a client of %s reads %s', (kind, path, name) => {
  expect(readRegistryPath(kind, { method: 'GET', path })).toEqual({ name });
  expect(readRegistryPath(kind, { method: 'HEAD', path })).toEqual({ name });
  for (const method of ['PUT', 'POST', 'DELETE', 'get']) {
    expect(readRegistryPath(kind, { method, path })).toBeUndefined();
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
  expect(readRegistryPath(kind, { method: 'GET', path })).toBeUndefined();
});

test('every path is answered at once, whatever it holds', () => {
  const part = fc.oneof(fc.string({ maxLength: 200 }), fc.constantFrom('-', 'a'.repeat(128), '%2f', '@', 'a-', '/'));
  fc.assert(
    fc.property(fc.constantFrom(...registryKinds), fc.array(part, { maxLength: 200 }), (kind, parts) => {
      const started = performance.now();
      readRegistryPath(kind, { method: 'GET', path: `/${parts.join('/')}`.slice(0, 2048) });
      expect(performance.now() - started).toBeLessThan(200);
    }),
  );
});
