/** Which of a host's apt sources an image may use. */
import { expect, test } from 'vitest';

import { chooseSources, isEmpty } from '../../../src/images/packages/apt-sources.ts';
import { toolFailure, withoutAddresses } from '../../../src/images/tools/image-tools.ts';
import { integrityHex } from '../../../src/images/packages/npm-packages.ts';

const list = (text: string): string => chooseSources([{ name: 'sources.list', text }], 'bookworm').list;
const sources = (text: string): string => chooseSources([{ name: 'debian.sources', text }], 'bookworm').sources;

test.each([
  ['deb https://m.test/debian bookworm main contrib', 'deb https://m.test/debian bookworm main\n'],
  [
    'deb [signed-by=/k.gpg arch=amd64] https://m.test/d bookworm-updates main',
    'deb [signed-by=/k.gpg arch=amd64] https://m.test/d bookworm-updates main\n',
  ],
  [
    'deb https://m.test/debian-security bookworm-security main # note',
    'deb https://m.test/debian-security bookworm-security main\n',
  ],
  ['deb-src https://m.test/debian bookworm main', ''],
  ['# deb https://m.test/debian bookworm main', ''],
  ['deb https://m.test/debian bookworm-backports main', ''],
  ['deb https://m.test/debian trixie main', ''],
  ['deb https://other.test/tool bookworm stable', ''],
  ['deb cdrom:[Debian]/ bookworm main', ''],
])('of the line %j stays %j', (line, kept) => {
  expect(list(`${line}\n`)).toBe(kept);
});

test('of a deb822 stanza stay the suites of the release, its keys and its other fields', () => {
  const text = `# comment
Types: deb deb-src
URIs: https://m.test/debian
# http://old.test
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: https://m.test/other
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: https://m.test/debian
Suites: bookworm
Components: main
`;
  expect(sources(text)).toBe(`types: deb
uris: https://m.test/debian
suites: bookworm bookworm-updates
components: main
signed-by: 
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
`);
});

test('a host without a source of the release is known as such, and files of another kind are not read', () => {
  expect(isEmpty(chooseSources([{ name: 'x.list.save', text: 'deb https://m.test/debian bookworm main' }], 'bookworm'))).toBe(
    true,
  );
});

test("a program's complaint becomes one line without addresses", () => {
  expect(withoutAddresses('E: Failed to fetch https://user:pw@m.test/x.deb  404')).toBe(
    'E: Failed to fetch <package source>  404',
  );
  expect(toolFailure('apt-get', 'W: a\nE: Cannot https://m.test/y\nbye\n').message).toBe(
    'apt-get failed: E: Cannot <package source>',
  );
  expect(toolFailure('cp', 'cp: write: No space left on device')).toMatchObject({
    code: 'IMAGE_BUILD_FAILED',
    message: 'the disk is full',
  });
  expect(toolFailure('unshare', 'unshare: failed to execute newuidmap: No such file')).toMatchObject({ code: 'TOOL_MISSING' });
  expect(toolFailure('x', 'a\u001b[31mb').message).toBe('x failed: a\\x1b[31mb');
});

test('an integrity is the name of a file in the cache', () => {
  expect(integrityHex(`sha512-${Buffer.alloc(64, 255).toString('base64')}`)).toBe('ff'.repeat(64));
});
