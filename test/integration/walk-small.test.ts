/** A small tree is listed as find(1) would list it; every other one is left to find(1). */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { nestedPaths } from '../../src/engines/workspace/nested-paths.ts';
import { run } from '../../src/system/process.ts';
import { walkSmall } from '../../src/system/walk-small.ts';
import { newRepositories } from '../../src/workspace/new-repositories.ts';

const names = ['a', 'b', '.git', 'HEAD', 'node_modules', '.vscode', 'x y'] as const;
const everything = { entersFolder: () => true };

describe('a small tree', () => {
  let made: string;
  let root: string;
  let outside: string;
  beforeEach(async () => {
    made = await mkdtemp(join(tmpdir(), 'casemate-walk-'));
    [root, outside] = [join(made, 'root'), join(made, 'outside')];
    await mkdir(root);
    await mkdir(outside);
  });
  afterEach(async () => {
    await rm(made, { recursive: true, force: true });
  });

  const lines = async (): Promise<readonly string[] | undefined> => {
    const letters = { folder: 'd', file: 'f', other: 'o' } as const;
    return walkSmall(root, everything)
      ?.map(({ kind, path }) => `${letters[kind]} ${path}`)
      .toSorted();
  };

  async function byFind(): Promise<readonly string[]> {
    const { stdout } = await run('find', [root, '-mindepth', '1', '-xdev', '-printf', String.raw`%y %P\0`], {
      env: { PATH: '/usr/bin:/bin' },
    });
    return stdout
      .toString('utf8')
      .split('\0')
      .filter((row) => row !== '')
      .map((row) => row.replace(/^[^df]/, 'o'))
      .toSorted();
  }

  it('is listed as find(1) lists it, whatever is in it', async () => {
    const place = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 });
    const kind = fc.constantFrom('file', 'folder', 'link');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(place, kind), { maxLength: 5 }), async (wanted) => {
        for (const path of [root, outside]) {
          await rm(path, { recursive: true });
          await mkdir(path);
        }
        for (const [parts, what] of wanted) {
          await put(join(root, ...parts), what);
        }
        // So few folders always are a small tree: an answer of the slow way would hide a fault of the fast one.
        expect(await lines()).toEqual(await byFind());
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['too many folders', async () => Promise.all(Array.from({ length: 30 }, (_, n) => mkdir(join(root, `${n}`))))],
    ['too many files', async () => Promise.all(Array.from({ length: 1001 }, (_, n) => writeFile(join(root, `${n}`), '')))],
    ['a name that is not UTF-8', async () => writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), '')],
  ])('is not one with %s', async (_, fill) => {
    await fill();
    expect(await lines()).toBeUndefined();
  });

  it('is not what is not there', async () => {
    expect(walkSmall(join(root, 'absent'), everything)).toBeUndefined();
  });

  it('ends where another file system begins', async () => {
    // /proc has folders of other file systems below it, e.g. /proc/sys/fs/binfmt_misc; /dev has /dev/pts and /dev/shm.
    const found = walkSmall('/dev', { entersFolder: (name) => name === 'shm' || name === 'pts' });
    const paths = (found ?? []).map(({ path }) => path);
    expect(paths).toContain('pts');
    expect(paths.filter((path) => path.startsWith('pts/'))).toEqual([]);
  });

  it('gives the same names to protect and the same new repositories as a large one', async () => {
    await put(join(root, 'pkg', '.vscode'), 'folder');
    await put(join(root, 'pkg', 'node_modules', '.vscode'), 'folder');
    await put(join(root, 'mod', '.git'), 'file');
    await put(join(root, 'Rep', '.GIT'), 'folder');
    await put(join(root, 'away'), 'link');
    const look = async () => ({
      protect: (await nestedPaths(root, ['.vscode', '.git/config', '.git/hooks'])).toSorted(),
      new: await newRepositories(root, Date.now() - 60_000),
    });
    const small = await look();
    expect(small.protect).toContain('pkg/.vscode');
    expect(small.new.paths).toEqual(['Rep', 'mod']);
    for (let n = 0; n < 30; n += 1) {
      await mkdir(join(root, 'pkg', `${n}`));
    }
    expect(walkSmall(root, everything)).toBeUndefined();
    expect(await look()).toEqual(small);
  });

  async function put(path: string, what: 'file' | 'folder' | 'link'): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true });
      await (what === 'folder' ? mkdir(path) : what === 'file' ? writeFile(path, '') : symlink(outside, path));
    } catch (error) {
      // Something of that name is there already, or a file where a folder should be.
      expect(['EEXIST', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM']).toContain((error as NodeJS.ErrnoException).code);
    }
  }
});
