import { expect, test } from 'vitest';

import { packageRequest } from '../../../src/gateway/guards/package-request.ts';
import { versionOf } from '../../../src/gateway/guards/python-file-name.ts';
import { blockedBecause, youngBecause } from '../../../src/gateway/guards/package-verdict.ts';
import { packageRule } from '../../helpers/guarding.ts';
import { ownTime } from '../../helpers/own-time.ts';

test.each([
  ['semicolons', `/${';'.repeat(60_000)}/x`],
  ['a file of very many parts', `/${'a-'.repeat(30_000)}.tar.gz`],
  ['very many versions', `/${'-1'.repeat(30_000)}.tgz`],
  ['dots', `/a${'.'.repeat(60_000)}x.tgz`],
  ['the longest of many parts that is read', `/${'-1'.repeat(2000)}.tgz`],
])('a path of %s takes no time', (_what, path) => {
  const spent = ownTime();
  packageRequest('npm', path);
  packageRequest('pypi', path);
  // Up to half a minute before.
  expect(spent()).toBeLessThan(200);
});

test('a file with more parts than a project has them takes no time', () => {
  const spent = ownTime();
  expect(versionOf(`${'a-'.repeat(20_000)}1.0.tar.gz`, 'a')).toMatch(/1\.0$/);
  expect(versionOf('two-words-1.0-2.tar.gz', 'two-words')).toBe('1.0-2');
  expect(spent()).toBeLessThan(200);
});

test.each(['evil-1.0.tar', 'evil-1.0.tbz2', 'EVIL-1.0.TAR.GZ', 'evil-1.0.tar.lzma', 'evil-1.0.tar.zst', 'evil-1.0.exe'])(
  '%s is an archive of a Python package',
  (file) => {
    expect(packageRequest('pypi', `/packages/${file}`)).toMatchObject({ kind: 'archive', name: 'evil', version: '1.0' });
  },
);

test.each(['/@scope%2fname', '/@scope/name/-/name-1.0.0.tgz', '/a/-/a-1.0.0.tgz;x', '/a/-/a-1.0.0.tgz/', '/simple/a/', '/a b'])(
  '%s is clear',
  (path) => {
    expect(packageRequest('npm', path)?.kind).not.toBe('unclear');
    expect(packageRequest('pypi', path)?.kind).not.toBe('unclear');
  },
);

test('a version that cannot be compared is on a list of what is bad, and on none of what is good', () => {
  const pattern = [{ ecosystem: undefined, name: 'one', range: '1.0.0' }] as const;
  for (const ecosystem of ['npm', 'pypi'] as const) {
    const one = { ecosystem, name: 'one', version: '1.0.0 or so' };
    const context = { locked: new Set<string>(), nowMs: 1000 };
    expect(blockedBecause(one, { ...context, rules: [packageRule({ block: pattern })] })).toBeDefined();
    expect(youngBecause(one, 0, { ...context, rules: [packageRule({ minAgeMs: 5000, allow: pattern })] })).toBeDefined();
    const clear = { ...one, version: '1.0.0' };
    expect(youngBecause(clear, 0, { ...context, rules: [packageRule({ minAgeMs: 5000, allow: pattern })] })).toBeUndefined();
  }
});
