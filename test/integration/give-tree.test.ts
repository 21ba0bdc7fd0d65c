/** Giving what the daemon put into a home to the agent: once, for afterwards a sandbox writes there whatever it likes. */
import { chown, lstat, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { giveTree } from '../../src/system/give-tree.ts';
import { run } from '../../src/system/process.ts';
import { removeTree } from '../../src/system/remove-tree.ts';

const agent = { uid: 65_534, gid: 65_534 };

describe.skipIf(process.geteuid?.() !== 0)('giveTree, as root', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-give-'));
    await mkdir(join(folder, 'home/a/b'), { recursive: true });
    await writeFile(join(folder, 'home/a/b/c'), '');
    await writeFile(join(folder, 'outside'), '');
    await symlink('../outside', join(folder, 'home/link'));
  });
  afterEach(() => removeTree(folder));

  const ownerOf = async (path: string): Promise<number> => (await lstat(join(folder, path))).uid;

  it('gives all of it, names that are no UTF-8 included, and follows no link', async () => {
    await run('perl', ['-e', 'open F, ">", "$ARGV[0]/home/\\xff\\xfe"', folder], { env: { PATH: '/usr/bin:/bin' } });
    await giveTree(join(folder, 'home'), agent, 0);
    for (const path of ['home', 'home/a', 'home/a/b/c', 'home/link']) {
      expect(await ownerOf(path), path).toBe(agent.uid);
    }
    expect(await ownerOf('outside')).toBe(0);
    const { stdout } = await run('find', [join(folder, 'home'), '-uid', '0'], { env: { PATH: '/usr/bin:/bin' } });
    expect(stdout.toString('latin1')).toBe('');
  });

  it('is done when the top is given: what a sandbox made there since cannot stop it, nor does it change owners', async () => {
    await giveTree(join(folder, 'home'), agent, 0);
    const deep = 'chdir "$ARGV[0]/home"; for (1 .. 60) { mkdir "x" x 200; chdir "x" x 200 or die $! }';
    await run('perl', ['-e', deep, folder], { env: { PATH: '/usr/bin:/bin' } });
    await chown(join(folder, 'home/a/b/c'), 0, 0);
    await expect(giveTree(join(folder, 'home'), agent, 0)).resolves.toBeUndefined();
    expect(await ownerOf('home/a/b/c')).toBe(0);
  });
});
