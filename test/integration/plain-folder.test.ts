import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { removePlaceholders } from '../../src/engines/workspace/placeholders.ts';
import { inPlainFolder } from '../../src/system/plain-folder.ts';

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'plain-')));
  await mkdir(join(folder, 'real/below'), { recursive: true });
  await writeFile(join(folder, 'real/below/file'), '');
  await symlink('real', join(folder, 'link'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a folder that is opened name by name', () => {
  it('is the folder at the path, and stays it', async () => {
    expect(await inPlainFolder(join(folder, 'real/below'), (at) => readdir(`${at}/.`))).toEqual(['file']);
  });

  it.each(['link', 'link/below', 'real/none', 'real/below/file'])('is none at %s', async (path) => {
    expect(await inPlainFolder(join(folder, path), async () => 'there')).toBeUndefined();
  });
});

describe('placeholders of a workspace', () => {
  it('are taken out of it, and out of nothing that a link in its place leads to (G8)', async () => {
    await mkdir(join(folder, 'real/.vscode'));
    await mkdir(join(folder, 'real/.git/hooks'), { recursive: true });
    await writeFile(join(folder, 'real/.git/commondir'), '.\n');
    const listed = [
      { path: '.vscode', placeholder: 'folder' },
      { path: '.git/hooks', placeholder: 'folder' },
      { path: '.git/commondir', placeholder: 'commondir' },
    ] as const;
    await removePlaceholders(join(folder, 'link'), listed);
    expect((await readdir(join(folder, 'real'), { recursive: true })).toSorted()).toEqual([
      '.git',
      '.git/commondir',
      '.git/hooks',
      '.vscode',
      'below',
      'below/file',
    ]);
    await removePlaceholders(join(folder, 'real'), listed);
    expect((await readdir(join(folder, 'real'), { recursive: true })).toSorted()).toEqual(['.git', 'below', 'below/file']);
  });
});
