import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openPlace } from '../../../src/engines/docker/nested/held-place.ts';

let root = '';
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'casemate-place-')));
  await mkdir(join(root, 'a/b'), { recursive: true });
  await writeFile(join(root, 'a/b/file'), 'text');
  await symlink('/etc', join(root, 'a/link'));
  await symlink('b', join(root, 'a/inner'));
  execFileSync('mkfifo', [join(root, 'a/pipe')]);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

test('a place is held as what it was, whatever its name leads to afterwards', async () => {
  const { handle, kind } = await openPlace(root, ['a', 'b'], '/workspace/a/b');
  await rename(join(root, 'a/b'), join(root, 'a/moved'));
  await symlink('/etc', join(root, 'a/b'));
  expect(kind).toBe('folder');
  expect(await realpath(`/proc/self/fd/${handle.fd}`)).toBe(join(root, 'a/moved'));
  await handle.close();
  await rm(join(root, 'a/b'));
  await rename(join(root, 'a/moved'), join(root, 'a/b'));
  const file = await openPlace(root, ['a', 'b', 'file'], 'x');
  expect(file.kind).toBe('file');
  await file.handle.close();
});

test.each([
  [['a', 'link'], 'is a symbolic link'],
  [['a', 'link', 'passwd'], 'leads through a symbolic link'],
  [['a', 'inner', 'file'], 'leads through a symbolic link'],
  [['a', 'pipe'], 'is neither a file nor a folder'],
  [['absent'], 'does not exist'],
])('%j is refused', async (names, why) => {
  await expect(openPlace(root, names, '/workspace/x')).rejects.toMatchObject({
    code: 'PATH_INVALID',
    message: expect.stringContaining(why),
  });
});

test('what the host has mounted below is refused: the sandbox is not shown it', async () => {
  await expect(openPlace('/', ['proc', 'sys'], '/workspace/x')).rejects.toThrow(
    'is something else on the host than in the sandbox',
  );
});
