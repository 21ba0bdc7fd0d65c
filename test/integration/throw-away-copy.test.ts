import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { makeLearnWorkspace, removeLeftCopies } from '../../src/cli/session/learn-workspace.ts';
import { copyWorkspace } from '../../src/workspace/throw-away-copy.ts';

let root: string;
/** a home of nobody else */
const home = `/nonexistent/${process.pid}`;
let source: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-copy-'));
  source = join(root, 'project');
  await mkdir(join(source, 'sub/deeper'), { recursive: true });
  await writeFile(join(source, 'a.txt'), 'hello');
  await writeFile(join(source, 'sub/deeper/run.sh'), '#!/bin/sh\n');
  await chmod(join(source, 'sub/deeper/run.sh'), 0o755);
});
afterEach(async () => await rm(root, { recursive: true, force: true }));

test('files, folders and modes are as they were, and the workspace itself is not touched', async () => {
  const copy = await makeLearnWorkspace(source, home);
  expect(await readFile(join(copy.path, 'a.txt'), 'utf8')).toBe('hello');
  expect((await stat(join(copy.path, 'sub/deeper/run.sh'))).mode & 0o777).toBe(0o755);
  await writeFile(join(copy.path, 'a.txt'), 'changed');
  expect(await readFile(join(source, 'a.txt'), 'utf8')).toBe('hello');
  await copy.remove();
  await expect(stat(copy.path)).rejects.toThrow('ENOENT');
});

test.each(['.env', '.env.local', '.npmrc', 'id_ed25519', 'server.pem', 'credentials.json'])(
  '%s is left out by its name',
  async (name) => {
    await writeFile(join(source, 'sub', name), 'x');
    const { path, copied, remove } = await makeLearnWorkspace(source, home);
    expect(copied.leftOut).toMatchObject([{ path: `sub/${name}` }]);
    expect(await readdir(join(path, 'sub'))).toEqual(['deeper']);
    await remove();
  },
);

test('a file with a key in it is left out, an example of a settings file is not', async () => {
  await writeFile(join(source, 'notes.md'), `token: ghp_${'a1'.repeat(18)}\n`);
  await writeFile(join(source, '.env.example'), 'NAME=value\n');
  const { path, copied, remove } = await makeLearnWorkspace(source, home);
  expect(copied.leftOut).toEqual([{ path: 'notes.md', why: 'it holds what looks like a GitHub token' }]);
  expect((await readdir(path)).toSorted()).toEqual(['.env.example', 'a.txt', 'sub']);
  await remove();
});

test('a name that is not UTF-8 keeps nothing else outside', async () => {
  await writeFile(Buffer.concat([Buffer.from(`${source}/sub/`), Buffer.from([0xff])]), 'x');
  const { path, copied, remove } = await makeLearnWorkspace(source, home);
  expect(copied.leftOut).toEqual([{ path: 'sub/\u{fffd}', why: 'its name is not UTF-8' }]);
  expect(await readdir(join(path, 'sub'))).toEqual(['deeper']);
  await remove();
});

test('the history of the repository stays outside', async () => {
  await mkdir(join(source, '.git'));
  await writeFile(join(source, '.git/config'), '[remote]\n');
  const { path, remove } = await makeLearnWorkspace(source, home);
  expect(await readdir(path)).not.toContain('.git');
  await remove();
});

test('the copy of a killed run is taken away, but not one that is in use, of another home, or open to others', async () => {
  const { path, remove } = await makeLearnWorkspace(source, home);
  const mine = dirname(path);
  const mark = /-(\d+-\d+)-/.exec(mine)?.[1] ?? '';
  // as if its maker were another process, which is no more
  const dead = async (name: string, mode = 0o700): Promise<string> => {
    const folder = mine.replace(mark, '4194305-1').replace(/\w{6}$/, name);
    await mkdir(join(folder, 'project'), { recursive: true });
    await chmod(folder, mode);
    return folder;
  };
  const [lost, used, open] = [await dead('aaaaaa'), await dead('bbbbbb'), await dead('cccccc', 0o755)];
  await removeLeftCopies(`${home}/other`, []);
  await removeLeftCopies(home, [join(used, 'project')]);
  const names = await readdir(tmpdir());
  expect([mine, lost, used, open].map((folder) => names.includes(basename(folder)))).toEqual([true, false, true, true]);
  await Promise.all([remove(), rm(used, { recursive: true }), rm(open, { recursive: true })]);
});

test('a link is copied as a link: what it leads to does not come along', async () => {
  await writeFile(join(root, 'secret'), 'outside');
  await symlink('../secret', join(source, 'link'));
  await symlink(root, join(source, 'folder-link'));
  const target = join(root, 'copy');
  await copyWorkspace(source, target, { refusal: () => undefined });
  const names = await readdir(target, { withFileTypes: true });
  expect(
    names
      .filter((entry) => entry.isSymbolicLink())
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(['folder-link', 'link']);
});

test('a workspace with too many files, or too large, is refused before it fills the disk', async () => {
  const copy = (limits: { entries: number; bytes: number }) =>
    copyWorkspace(source, join(root, `copy-${limits.entries}-${limits.bytes}`), { refusal: () => undefined, limits });
  await expect(copy({ entries: 3, bytes: 1000 })).rejects.toThrow('has more than 3 entries');
  await expect(copy({ entries: 100, bytes: 4 })).rejects.toThrow('holds more than');
});
