/** What an index of git names, and other places of its folder, by which git of the host would write elsewhere: files that git itself wrote, and forged ones. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { leadsOutside } from '../../src/workspace/git-index.ts';
import { leftInGit } from '../../src/workspace/left-in-git.ts';
import { forgedIndex, git, repository } from '../helpers/repository.ts';

let path: string;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'casemate-index-'));
});
afterEach(async () => {
  await rm(path, { recursive: true });
});

describe('an index of git', () => {
  it.each([['2'], ['4']])(
    'as git writes it names nothing outside, in version %s, split, with intents and for threads',
    async (version) => {
      await repository(path);
      const read = async (name = 'index'): Promise<Buffer> => await readFile(join(path, '.git', name));
      for (let folder = 0; folder < 3; folder += 1) {
        await mkdir(join(path, `folder-${folder}`, '..x'), { recursive: true });
        await Promise.all(
          Array.from(
            { length: 60 },
            async (_, index) => await writeFile(join(path, `folder-${folder}/..x/${'l'.repeat(1 + index * 4)}`), ''),
          ),
        );
      }
      await git(path, '-c', 'index.threads=4', 'add', '.');
      await git(path, 'update-index', '--index-version', version);
      await writeFile(join(path, 'intended'), '');
      await git(path, 'add', '--intent-to-add', 'intended');
      expect(leadsOutside(await read(), 20)).toBe(false);
      await git(path, 'update-index', '--split-index');
      const shared = (await readdir(join(path, '.git'))).find((name) => name.startsWith('sharedindex.'));
      await git(path, 'rm', '--quiet', '--cached', 'file');
      expect([leadsOutside(await read(), 20), leadsOutside(await read(shared), 20)]).toEqual([false, false]);
    },
  );

  it.each([
    ['../x'],
    ['a/../../x'],
    ['/x'],
    ['.git/hooks/post-checkout'],
    ['a/.GIT/config'],
    ['git~1/config'],
    ['a//b'],
    ['./a'],
  ])('that names %s does; and one that is cut off, or read elsewhere by threads', async (name) => {
    await repository(path);
    await forgedIndex(path, [name]);
    const index = await readFile(join(path, '.git/index'));
    expect(leadsOutside(index, 20)).toBe(true);
    await git(path, 'read-tree', 'HEAD');
    const plain = await readFile(join(path, '.git/index'));
    expect(leadsOutside(plain, 20)).toBe(false);
    expect(leadsOutside(plain.subarray(0, 70), 20)).toBe(true);
    const table = Buffer.from('IEOT\0\0\0\x0c\0\0\0\x01\0\0\0\x0d\0\0\0\x01', 'latin1');
    const elsewhere = Buffer.concat([plain.subarray(0, -20), table, plain.subarray(-20)]);
    expect(leadsOutside(elsewhere, 20)).toBe(true);
    elsewhere.writeUInt32BE(12, plain.length - 20 + 12);
    expect(leadsOutside(elsewhere, 20)).toBe(false);
  });

  it('of a repository with longer hashes is read as such; one that is a link is named and not read', async () => {
    await git(path, 'init', '--quiet', '--object-format=sha256');
    await writeFile(join(path, 'file'), 'one\n');
    await git(path, 'add', 'file');
    expect(await leftInGit(join(path, '.git'), 0)).toEqual({ paths: [], complete: true });
    await rm(join(path, '.git/index'));
    await symlink('/etc/passwd', join(path, '.git/index'));
    expect(await leftInGit(join(path, '.git'), 0)).toEqual({ paths: ['index'], complete: false });
  });

  it('is found beside many folders and names of every kind, as beside few', async () => {
    await repository(path);
    const odd = Buffer.concat([Buffer.from(join(path, '.git/refs/heads/x')), Buffer.from([0xff])]);
    await symlink('/nowhere', odd);
    await mkdir(join(path, '.git/logs/refs/heads/objects'));
    await symlink('/nowhere', join(path, '.git/logs/refs/heads/objects/x'));
    const paths = ['logs/refs/heads/objects/x', 'refs/heads/x\u{fffd}'];
    expect(await leftInGit(join(path, '.git'), 0)).toEqual({ paths, complete: true });
    await rm(odd);
    expect((await leftInGit(join(path, '.git'), 0)).paths).toEqual(paths.slice(0, 1));
  });
});
