/** The pure parts of the set-up scripts: what counts as installed, how results are counted, what is in the bundle. */
import { describe, expect, test } from 'vitest';

import { billOfMaterials, notices, packageFolder } from '../../../scripts/notices.mjs';
import { countReport, total } from '../../../scripts/setup/checks.mjs';
import { isInstalled } from '../../../scripts/setup/packages.mjs';
import { nodePackage } from '../../../scripts/setup/places.mjs';

describe('isInstalled', () => {
  const lock = {
    '': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b-darwin': { version: '1.0.0', optional: true },
    [`node_modules/${nodePackage}`]: { version: '24.0.0', optional: true },
  };
  const full = { 'node_modules/a': { version: '1.0.0' }, [`node_modules/${nodePackage}`]: { version: '24.0.0' } };
  const present = (): boolean => true;

  test('takes what the lock file says, without the optional packages of other machines', () => {
    expect(isInstalled(lock, full, present)).toBe(true);
  });

  test.each<[string, object]>([
    ['a missing package', { ...full, 'node_modules/a': undefined }],
    ['another version', { ...full, 'node_modules/a': { version: '1.0.1' } }],
    ['a missing Node', { 'node_modules/a': { version: '1.0.0' } }],
    ['an optional package in another version', { ...full, 'node_modules/b-darwin': { version: '2.0.0' } }],
  ])('refuses %s', (_, installed) => {
    expect(isInstalled(lock, installed, present)).toBe(false);
  });

  test('refuses a package that is on record and not on the disk', () => {
    expect(isInstalled(lock, full, (path: string) => !path.endsWith('node_modules/a'))).toBe(false);
  });
});

describe('countReport', () => {
  const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, numTodoTests: 0, success: true, testResults: [] };

  test('counts tests', () => {
    expect(countReport(report, 0)).toEqual({ passed: 5, failed: 0, skipped: 1 });
  });

  test('counts a file that could not be loaded as a failure', () => {
    const testResults = [{ status: 'failed', assertionResults: [] }];
    expect(countReport({ ...report, success: false, testResults }, 1)).toEqual({ passed: 5, failed: 1, skipped: 1 });
  });

  test('counts a run that failed outside of any test as a failure', () => {
    expect(countReport(report, 1).failed).toBe(1);
    expect(countReport({ ...report, success: false }, 0).failed).toBe(1);
  });

  test('adds up', () => {
    const counts = [
      { passed: 1, failed: 0, skipped: 2 },
      { passed: 3, failed: 1, skipped: 0 },
    ];
    expect(total(counts)).toEqual({ passed: 4, failed: 1, skipped: 2 });
  });
});

describe('the notices and the bill of materials', () => {
  test.each<[string, string | undefined]>([
    ['/x/node_modules/zod/v4/core.js', '/x/node_modules/zod'],
    ['/x/node_modules/@a/b/c.js', '/x/node_modules/@a/b'],
    ['/x/node_modules/a/node_modules/b/c.js', '/x/node_modules/a/node_modules/b'],
    ['/x/src/cli/main.ts', undefined],
  ])('%s belongs to %s', (module, folder) => {
    expect(packageFolder(module)).toBe(folder);
  });

  const part = {
    name: '@a/b',
    version: '1.2.3',
    terms: 'MIT',
    text: 'Permission is granted',
    notice: 'By A',
    integrity: 'sha512-AAEC',
  };

  test('name each package with its licence text', () => {
    expect(notices([part])).toContain('@a/b 1.2.3 (MIT)\n\nPermission is granted\n\nBy A');
  });

  test('name each package with its address and hash, and hold no time', () => {
    const bill = billOfMaterials([part, { ...part, name: 'c', terms: '(MIT OR Apache-2.0)' }]);
    expect(bill.components[0]).toMatchObject({
      purl: 'pkg:npm/%40a/b@1.2.3',
      licenses: [{ license: { id: 'MIT' } }],
      hashes: [{ alg: 'SHA-512', content: '000102' }],
    });
    expect(bill.components[1]?.licenses).toEqual([{ expression: '(MIT OR Apache-2.0)' }]);
    expect(JSON.stringify(bill)).not.toMatch(/timestamp|serialNumber/);
  });
});
