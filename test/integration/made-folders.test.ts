import { chown, mkdir, mkdtemp, open, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeFolders } from '../../src/system/files.ts';
import { madeFolderIn } from '../../src/system/made-folder.ts';
import { openPlainFolder } from '../../src/system/plain-folder.ts';
import { uid } from '../helpers/oci-lab.ts';

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

describe('a folder in one of somebody else', () => {
  let folder: string;
  let workspace: string;
  const agent = 1000;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-folders-'));
    workspace = join(folder, 'work');
    await mkdir(workspace);
    await (uid === 0 ? chown(workspace, agent, agent) : Promise.resolve());
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function made(name: string, opened?: typeof open): Promise<void> {
    const held = await openPlainFolder(workspace);
    try {
      await (await madeFolderIn(held, name, { opened })).close();
    } finally {
      await held.close();
    }
  }

  it('is theirs, and stays whose it is where it is there already', async () => {
    await made('new');
    await mkdir(join(workspace, 'there'));
    await made('there');
    expect([await ownerOf('new'), await ownerOf('there')]).toEqual([uid === 0 ? agent : uid, uid]);
  });

  it.each(['link', 'file'])('is not made where a %s is', async (name) => {
    await (name === 'link' ? symlink(folder, join(workspace, name)) : writeFile(join(workspace, name), ''));
    await expect(made(name)).rejects.toThrow(/ENOTDIR|ELOOP/);
  });

  it.skipIf(uid !== 0)('gives nothing of root away that is put in its place meanwhile', async () => {
    await mkdir(join(workspace, 'of-root'), { mode: 0o700 });
    await writeFile(join(workspace, 'of-root/file'), '');
    await made('swapped', async (...asked) => {
      await rename(join(workspace, 'swapped'), join(workspace, 'away'));
      await rename(join(workspace, 'of-root'), join(workspace, 'swapped'));
      return await open(...asked);
    });
    expect(await ownerOf('swapped')).toBe(0);
  });

  async function ownerOf(name: string): Promise<number> {
    return (await stat(join(workspace, name))).uid;
  }
});
