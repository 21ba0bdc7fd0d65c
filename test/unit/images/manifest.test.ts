/** The canonical list of files and its digest. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { canonicalManifest, differingPaths, manifestDigest, type ManifestEntry } from '../../../src/images/tools/manifest.ts';
import { imageTools } from '../../../src/images/tools/image-tools.ts';
import { environmentOf } from '../../../src/system/environment.ts';

// No NUL in a path or a link: no file system has one.
const name = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 12 });
const entry: fc.Arbitrary<ManifestEntry> = fc.record({
  path: name,
  type: fc.constantFrom('f', 'd', 'l'),
  mode: fc.constantFrom('644', '755', '1777'),
  uid: fc.nat(70_000),
  gid: fc.nat(70_000),
  size: fc.nat(),
  sha256: fc.constantFrom('', 'a'.repeat(64), 'b'.repeat(64)),
  link: name,
});
const entries = fc.uniqueArray(entry, { selector: ({ path }) => path, maxLength: 20 });

test('the order in which files are found does not matter', () => {
  fc.assert(
    fc.property(entries, (list) => {
      expect(canonicalManifest(list.toReversed())).toBe(canonicalManifest(list));
    }),
  );
});

test('two lists that differ in anything have different texts', () => {
  fc.assert(
    fc.property(entries, entries, (a, b) => {
      const key = (list: readonly ManifestEntry[]): string =>
        JSON.stringify(list.toSorted((x, y) => (x.path < y.path ? -1 : 1)).map((each) => Object.values(each)));
      const order = ({ path, type, mode, uid, gid, size, sha256, link }: ManifestEntry): ManifestEntry => ({
        path,
        type,
        mode,
        uid,
        gid,
        size,
        sha256,
        link,
      });
      expect(canonicalManifest(a) === canonicalManifest(b)).toBe(key(a.map(order)) === key(b.map(order)));
    }),
  );
});

test('paths are sorted by their bytes, and the digest is of the bytes', () => {
  const list = ['b', 'B', '\xff', 'a/b', 'a', 'a.b'].map((path): ManifestEntry => ({
    path,
    type: 'd',
    mode: '755',
    uid: 0,
    gid: 0,
    size: 0,
    sha256: '',
    link: '',
  }));
  const text = canonicalManifest(list);
  expect(
    text
      .split('\0\n')
      .slice(0, -1)
      .map((line) => line.split('\0')[0]),
  ).toEqual(['B', 'a', 'a.b', 'a/b', 'b', '\xff']);
  expect(manifestDigest(text)).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(manifestDigest('\xff')).toBe('sha256:a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89');
});

test('what differs is named: changed, added and removed', () => {
  const file = (path: string, sha256: string): ManifestEntry => ({
    path,
    type: 'f',
    mode: '644',
    uid: 0,
    gid: 0,
    size: 1,
    sha256,
    link: '',
  });
  const before = canonicalManifest([file('same', 'a'), file('changed', 'a'), file('gone', 'a')]);
  const after = canonicalManifest([file('same', 'a'), file('changed', 'b'), file('new', 'a')]);
  expect([...differingPaths(before, after, 10)].toSorted()).toEqual(['/changed', '/gone', '/new']);
});

test("ids on disk and ids of the image translate both ways, and the agent's files are the caller's", () => {
  for (const uid of [0, 1000]) {
    const tools = imageTools({ uid, env: environmentOf({}) });
    fc.assert(
      fc.property(fc.nat(65_535), (id) => {
        expect(tools.imageId(tools.diskId(id))).toBe(id);
      }),
    );
  }
  const user = imageTools({ uid: 1000, env: environmentOf({}) });
  expect([user.diskId(0), user.diskId(999), user.diskId(1000), user.diskId(1001)]).toEqual([1, 1000, 0, 1001]);
  expect(imageTools({ uid: 0, env: environmentOf({}) }).diskId(1000)).toBe(1000);
});
