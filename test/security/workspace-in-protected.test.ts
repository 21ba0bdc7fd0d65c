import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { resolveWorkspace } from '../../src/sandbox/project/workspace-path.ts';

/**
 * G5, G15: names are protected in a workspace, so a workspace that lies within such a name would be the way around it. A
 * project's own file may narrow `workspace.path` without anybody's approval, and a caller may name any folder of its roots.
 */

let project: string;
beforeAll(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), 'within-')));
  for (const folder of [
    '.git/hooks',
    '.git/modules/x/hooks',
    '.GIT/info',
    'packages/a/.vscode',
    '.claude/hooks',
    '.claude/worktrees/one/src',
    '.claude/worktrees/one/.vscode',
    '.cursor/worktrees',
    '.husky/_',
    'docs/hooks',
    'docs/objects',
    'docs/refs',
    'moved/hooks',
    'src/git/hooks',
    'shared/objects',
    'shared/refs',
    'shared/HEAD',
    'shared/mine',
    'HEAD',
  ]) {
    await mkdir(join(project, folder), { recursive: true });
  }
  await writeFile(join(project, 'docs/HEAD'), 'ref: refs/heads/main\n');
  await writeFile(join(project, 'moved/HEAD'), 'ref: refs/heads/main\n');
  await writeFile(join(project, 'moved/commondir'), '../.git\n');
  await chmod(join(project, 'shared'), 0o1777);
  await symlink('.git/hooks', join(project, 'link'));
});
afterAll(() => rm(project, { recursive: true, force: true }));

const paths = { state: '/s', config: '/c', images: '/i', cache: '/k', runtime: '/r', organisation: '/o' };
const resolved = (folder: string): Promise<string> =>
  resolveWorkspace(join(project, folder), { paths, userHome: '/home/me', programFolders: ['/usr/bin'] });

describe('a workspace', () => {
  test.each([
    ['.git/hooks', '.git/hooks'],
    ['.git', '.git'],
    ['.git/modules/x/hooks', '.git/modules'],
    ['.GIT/info', '.git'],
    ['link', '.git/hooks'],
    ['packages/a/.vscode', '.vscode'],
    ['.claude/hooks', '.claude'],
    ['.claude/worktrees', '.claude'],
    ['.cursor/worktrees', '.cursor'],
    ['.claude/worktrees/one/.vscode', '.vscode'],
    ['.husky/_', '.husky'],
    ['docs/hooks', '/docs'],
    ['moved/hooks', '/moved'],
  ])('at %s is refused: it lies in %s', async (folder, name) => {
    await expect(resolved(folder)).rejects.toMatchObject({
      code: 'PATH_INVALID',
      message: expect.stringContaining(`${name}, and programs of the host`),
    });
  });

  test.each(['', 'docs', 'packages/a', 'src/git/hooks', 'shared/mine', '.claude/worktrees/one', '.claude/worktrees/one/src'])(
    'at %j is as good as any',
    async (folder) => {
      await expect(resolved(folder)).resolves.toBe(join(project, folder).replace(/\/$/, ''));
    },
  );
});
