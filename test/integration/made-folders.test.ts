import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeFolders } from '../../src/system/files.ts';

describe('folders of our own', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-folders-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('are made with those above them, for nobody else, and are there already where they are', async () => {
    makeFolders(join(folder, 'a/b/c'));
    makeFolders(join(folder, 'a/b/c'));
    for (const name of ['a', 'a/b', 'a/b/c']) {
      expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o700);
    }
  });

  it('are made below a link to a folder, and not below a file', async () => {
    await symlink(join(folder, 'a'), join(folder, 'link'));
    makeFolders(join(folder, 'link/d'));
    expect((await stat(join(folder, 'a/d'))).isDirectory()).toBe(true);
    await writeFile(join(folder, 'file'), '');
    expect(() => makeFolders(join(folder, 'file/d'))).toThrow(/ENOTDIR/);
    expect(() => makeFolders(join(folder, 'file'))).toThrow(/EEXIST/);
  });

  it.each(['/proc/nowhere', '/proc/nowhere/below/it'])('cannot be made at %s, which is said', (path) => {
    expect(() => makeFolders(path)).toThrow(/no folder can be made at \/proc\/nowhere: its file system has none but its own/);
  });
});
