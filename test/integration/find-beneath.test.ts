import { rmSync, symlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { findBeneath, type FindOptions } from '../../src/system/find-beneath.ts';
import { run } from '../../src/system/process.ts';

/** A folder that a sandbox writes, looked through on the host. */

let root: string;
let outside: string;
const everything: FindOptions = {
  wantsFile: (name) => name === '.env',
  entersFolder: (name) => name !== 'node_modules',
  maxDepth: 3,
  maxFolders: 100,
  maxFiles: 100,
  maxFileBytes: 1024,
};
const found = async (changes: Partial<FindOptions> = {}) =>
  (await findBeneath(root, { ...everything, ...changes })).map(({ path, content }) => `${path}=${content.toString('utf8')}`);

beforeEach(async () => {
  const made = await mkdtemp(join(tmpdir(), 'casemate-find-'));
  root = join(made, 'root');
  outside = join(made, 'outside');
  await mkdir(join(root, 'a', 'b', 'c', 'd'), { recursive: true });
  await mkdir(join(root, 'node_modules'));
  await mkdir(outside);
  await writeFile(join(outside, '.env'), 'of the host');
  await writeFile(join(root, '.env'), 'top');
  await writeFile(join(root, 'other'), 'not asked for');
});

afterEach(() => rm(join(root, '..'), { recursive: true, force: true }));

test('files of the names asked for, in order, down to the depth allowed', async () => {
  for (const folder of ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'node_modules']) {
    await writeFile(join(root, folder, '.env'), folder);
  }
  expect(await found()).toEqual(['.env=top', 'a/.env=a', 'a/b/.env=a/b', 'a/b/c/.env=a/b/c']);
  expect(await found({ maxDepth: 0 })).toEqual(['.env=top']);
});

test('no link is followed, neither of a file nor of a folder', async () => {
  await rm(join(root, '.env'));
  await symlink(join(outside, '.env'), join(root, '.env'));
  await symlink(outside, join(root, 'a', 'linked'));
  await writeFile(join(root, 'a', '.env'), 'own');
  expect(await found()).toEqual(['a/.env=own']);
});

test('a link that takes the place of a folder between look and open is not followed', async () => {
  await writeFile(join(root, 'a', '.env'), 'own');
  // The folder has been listed as one when this is asked, and is opened next.
  const swap = (): boolean => {
    rmSync(join(root, 'a'), { recursive: true });
    symlinkSync(outside, join(root, 'a'));
    return true;
  };
  const files = await findBeneath(root, { ...everything, entersFolder: (name) => name === 'a' && swap() });
  expect(files.map(({ content }) => content.toString('utf8'))).toEqual(['top']);
});

test('a pipe, a socket name or a device holds nobody up', async () => {
  await rm(join(root, '.env'));
  expect((await run('mkfifo', [join(root, '.env')], { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 30_000 })).exitCode).toBe(0);
  expect(await found()).toEqual([]);
});

test('amounts are bounded: the size of a file, files, folders', async () => {
  await writeFile(join(root, 'a', '.env'), 'x'.repeat(1025));
  await writeFile(join(root, 'a', 'b', '.env'), 'small');
  expect(await found()).toEqual(['.env=top', 'a/b/.env=small']);
  expect(await found({ maxFiles: 1 })).toEqual(['.env=top']);
  expect(await found({ maxFolders: 2 })).toEqual(['.env=top']);
});

test('a root that is none is empty', async () => {
  expect(await findBeneath(join(root, 'nosuch'), everything)).toEqual([]);
  expect(await findBeneath(join(root, '.env'), everything)).toEqual([]);
});
