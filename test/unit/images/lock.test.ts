/** Lock, bill of materials and the record of an image. */
import { expect, test } from 'vitest';

import { billOfMaterials } from '../../../src/images/stored/bom.ts';
import { debFileName, parseStanzas } from '../../../src/images/packages/debian.ts';
import { openRecord, sealRecord, type ImageFile } from '../../../src/images/stored/image-record.ts';
import { allDebs, allNpm, lockDigest, parseLock, type Lock } from '../../../src/images/stored/lock.ts';
import { builtinChain, recipeDigest } from '../../../src/images/recipes/find-recipe.ts';

const digest = `sha256:${'1'.repeat(64)}`;
const base: Lock = {
  format: 1,
  recipe: 'base',
  recipeDigest: digest,
  platform: 'x64',
  suite: 'bookworm',
  debian: [{ name: 'libstdc++6', version: '1:12.2.0-14+deb12u1', architecture: 'amd64', sha256: 'a'.repeat(64), size: 10 }],
  npm: [{ name: 'npm', version: '12.2.0', integrity: `sha512-${Buffer.alloc(64, 1).toString('base64')}`, folder: 'npm' }],
};
const child: Lock = {
  ...base,
  recipe: 'claude',
  from: base,
  debian: [],
  python: [{ name: 'ruamel.yaml', version: '0.18.14', sha256: 'b'.repeat(64) }],
  npm: [{ name: '@a/b', version: '1.0.0', integrity: `sha512-${Buffer.alloc(64, 2).toString('base64')}`, folder: '@a/b' }],
};

test('a lock read back is the lock, and its digest covers the lock below', () => {
  expect(parseLock(JSON.stringify(child), 'x')).toEqual(child);
  const other: Lock = { ...child, from: { ...base, suite: 'trixie' } };
  expect(lockDigest(other)).not.toBe(lockDigest(child));
  expect([allDebs(child).length, allNpm(child).map(({ name }) => name)]).toEqual([1, ['npm', '@a/b']]);
});

test.each([
  ['not JSON', '{'],
  ['an unknown key', JSON.stringify({ ...base, source: 'somewhere' })],
  ['a hash of the wrong length', JSON.stringify({ ...base, debian: [{ ...base.debian[0], sha256: 'ab' }] })],
  ['a wheel without a hash', JSON.stringify({ ...base, python: [{ name: 'x', version: '1' }] })],
  ['a name that could be an option', JSON.stringify({ ...base, debian: [{ ...base.debian[0], name: '-o' }] })],
])('a lock with %s is refused', (_, text) => {
  expect(() => parseLock(text, 'x')).toThrow(expect.objectContaining({ code: 'IMAGE_CORRUPT' }));
});

test('the bill of materials has every component with a hash and no address but its package URLs', () => {
  const bom = billOfMaterials(child, digest);
  expect(bom).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: expect.stringMatching(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/),
  });
  expect(bom['components']).toMatchObject([
    {
      name: 'libstdc++6',
      purl: 'pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=bookworm',
      hashes: [{ alg: 'SHA-256' }],
    },
    { name: 'npm', hashes: [{ alg: 'SHA-512', content: '01'.repeat(64) }] },
    { name: '@a/b', purl: 'pkg:npm/%40a/b@1.0.0' },
    { name: 'ruamel.yaml', purl: 'pkg:pypi/ruamel-yaml@0.18.14', hashes: [{ alg: 'SHA-256', content: 'b'.repeat(64) }] },
  ]);
  expect(JSON.stringify([bom, child])).not.toMatch(/https?:/);
  expect(billOfMaterials(child, digest)).toEqual(bom);
});

test('an index of packages is read, and files are named as archives name them', () => {
  const text = `Package: git\nVersion: 1:2.39.5-0\nArchitecture: amd64\nSize: 12\nDescription: x\n SHA256: no\nSHA256: ${'b'.repeat(64)}\n\nPackage: broken\nVersion: 1\n`;
  const [git, ...more] = parseStanzas(text);
  expect(more).toEqual([]);
  expect(git).toEqual({ name: 'git', version: '1:2.39.5-0', architecture: 'amd64', sha256: 'b'.repeat(64), size: 12 });
  expect(git && debFileName(git)).toBe('git_1%3a2.39.5-0_amd64.deb');
});

test('the record of an image with one changed character is not opened', () => {
  const chain = builtinChain('claude', { platform: 'x64', suite: 'bookworm' });
  const record: ImageFile = {
    format: 1,
    digest,
    recipe: 'claude',
    recipeDigest: recipeDigest(chain),
    builtin: true,
    chain: [...chain],
    createdAt: '2026-01-01T00:00:00.000Z',
    bytes: 1234,
    lockDigest: digest,
    bomDigest: digest,
    mode: 'root',
  };
  const text = sealRecord(record);
  expect(openRecord(text)).toMatchObject({ digest, recipe: 'claude', bytes: 1234 });
  for (const [from, to] of [
    ['1234', '1235'],
    ['"root"', '"user"'],
    ['"claude"', '"claudf"'],
    ['sha256:1', 'sha256:2'],
  ] as const) {
    expect(openRecord(text.replace(from, to))).toBeUndefined();
  }
  expect(openRecord(text.slice(0, -20))).toBeUndefined();
});
