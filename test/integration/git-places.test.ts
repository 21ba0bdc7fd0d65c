import { chown, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { placesNamedByGit, placesNamedByUser } from '../../src/engines/workspace/git-places.ts';
import { gitSettings } from '../../src/engines/workspace/git-settings.ts';
import { nestedPaths } from '../../src/engines/workspace/nested-paths.ts';

import { run } from '../../src/system/process.ts';
import { newRepositories } from '../../src/workspace/new-repositories.ts';

/** WSP-06: what the settings of a repository name in its own tree is run by git, so it is known whatever way it is written. */

let folder: string;
let path: string;
const env = { PATH: '/usr/bin:/bin', GIT_CONFIG_NOSYSTEM: '1', HOME: '/nonexistent' };

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'casemate-git-places-')));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function git(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run('git', ['-C', path, ...args], { env });
  expect({ exitCode, stderr: stderr.toString() }).toMatchObject({ exitCode: 0 });
  return stdout.toString('utf8');
}

const plain = '[core]\n\trepositoryformatversion = 0\n\tbare = false\n';
let count = 0;

beforeEach(async () => {
  count += 1;
  path = join(folder, `w${count}`);
  await mkdir(path);
  await git('init', '-q');
});

async function configured(text: string, files: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(path, name, '..'), { recursive: true });
    await writeFile(join(path, name), content);
  }
  await writeFile(join(path, '.git/config'), plain + text.replaceAll('TOP', path));
  return placesNamedByGit({ workspace: path, top: '' });
}

describe('a folder of hooks', () => {
  it.each([
    ['[core]\n\thooksPath = .githooks\n'],
    ['[core] hooksPath = .githooks\n'],
    ['[core]hookspath=.githooks'],
    ['[CORE]\n\thooksPath = .githooks # ours\n'],
    ['[core]\n\thooksPath = .githooks ; ours\n'],
    ['[core]\n\thooksPath = .git"hooks"\n'],
    ['[core]\n\thooksPath = .git\\\nhooks\n'],
    ['[core]\r\n\thooksPath = .githooks\r\n'],
    ['[core]\n\thooksPath = ./a/../.githooks/\n'],
    ['[core]\n\thooksPath = TOP/.githooks\n'],
    ['[remote "a]b\\"c"]\n\turl = x\n[core]\n\thooksPath = .githooks\n'],
    ['[include]\n\tpath = ../.gitconfig\n'],
    ['[include]\n\tpath = TOP/.gitconfig\n'],
    ['[includeIf "gitdir:TOP/"] path = ../.gitconfig\n'],
  ])('is the one that git takes for %j', async (config) => {
    const places = await configured(config, { '.gitconfig': '[core]\n\thooksPath = .githooks\n' });
    const taken = (await git('rev-parse', '--path-format=absolute', '--git-path', 'hooks')).trim().replace(/\/$/, '');
    expect(taken).toBe(join(path, '.githooks'));
    expect(places).toContain('.githooks');
    expect(places.includes('.gitconfig')).toBe(config.includes('include'));
  });

  it.each([
    ['[core]\n\thooksPath = /usr/share/hooks\n[include]\n\tpath = ~/.gitconfig\n\tpath = ../../outside\n'],
    ['[remote "x"]\n\turl = hooksPath = y\n\tpath = z\n'],
    ['# [core]\n;hooksPath = a\n[core]\n\tbare = false # hooksPath = b\n'],
    ['[alias]\n\tx = "!./made/x"\n'],
    ['[filter "x"]\n\tclean = node_modules/.bin/x\n'],
  ])('is not found in %j', async (config) => {
    expect(await configured(config)).toEqual([]);
  });

  it('is found behind settings outside for the repository itself, not for one further in, which a sandbox may have made', async () => {
    const shared = join(folder, `shared${count}`);
    await writeFile(shared, '[core] hooksPath = .githooks\n');
    expect(await configured(`[include] path = ${shared}\n`)).toEqual(['.githooks']);
    await mkdir(join(path, 'sub/.git'), { recursive: true });
    await writeFile(join(path, 'sub/.git/config'), `[include] path = ${shared}\n`);
    expect(placesNamedByGit({ workspace: path, top: 'sub' })).toEqual([]);
    // Regular by its kind, and not to be read.
    expect(await configured('[include] path = /proc/kmsg\n[include] path = /dev/null\n')).toEqual([]);
  });

  it('is found behind the settings of a worktree, which lie outside of it', async () => {
    await git('-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '-q', '--allow-empty', '-m', 'one');
    await git('config', 'extensions.worktreeConfig', 'true');
    await git('config', 'core.hooksPath', '.githooks');
    const linked = join(folder, `linked${count}`);
    await git('worktree', 'add', '-q', linked);
    path = linked;
    await git('config', '--worktree', 'core.fsmonitor', './tools/monitor');
    expect(placesNamedByGit({ workspace: linked, top: '' })).toEqual(['.githooks', 'tools/monitor']);
  });

  it('is found where the workspace is a part of the repository', async () => {
    const top = path;
    await mkdir(join(top, 'packages/one/hooks'), { recursive: true });
    await git('config', 'core.hooksPath', 'packages/one/hooks');
    await git('config', 'diff.external', './packages/two/diff');
    expect(await nestedPaths(join(top, 'packages/one'), ['.git/config'])).toContain('hooks');
    expect(await nestedPaths(join(top, 'packages'), ['.git/config'])).toEqual(expect.arrayContaining(['one/hooks', 'two/diff']));
  });

  it('is found in a repository below the top', async () => {
    const top = path;
    path = join(top, 'sub');
    await mkdir(path);
    await git('init', '-q');
    await git('config', 'core.hooksPath', 'hooks');
    expect(placesNamedByGit({ workspace: top, top: 'sub' })).toEqual(['sub/hooks']);
  });
});

describe('settings of a user for every repository', () => {
  it('name what is run in this one, too', async () => {
    const home = join(folder, `home${count}`);
    await mkdir(join(home, 'git'), { recursive: true });
    await mkdir(join(path, 'dotfiles'));
    await writeFile(join(path, 'dotfiles/gitconfig'), '[core] hooksPath = .githooks\n[include]\n\tpath = ~/own.config\n');
    await symlink(join(path, 'dotfiles/gitconfig'), join(home, '.gitconfig'));
    await writeFile(join(home, 'own.config'), `[diff]\n\texternal = ${path}/tools/diff\n`);
    await writeFile(join(home, 'git/config'), '[core]\n\tfsmonitor = tools/monitor\n\teditor = vim\n');
    const { stdout } = await run('git', ['-C', path, 'rev-parse', '--git-path', 'hooks'], { env: { ...env, HOME: home } });
    expect(stdout.toString()).toBe('.githooks\n');
    const places = placesNamedByUser(path, { home, xdg: home });
    expect(places).toEqual(['.githooks', 'dotfiles/gitconfig', 'tools/diff', 'tools/monitor']);
    expect(placesNamedByUser(path, { home: join(folder, 'absent') })).toEqual([]);
  });
});

describe('a program that git runs by itself', () => {
  it('is one that the settings name, and its arguments are where they are files', async () => {
    const config =
      '[filter "a"]\n\tclean = python3 tools/clean.py %f\n\tsmudge = "sh -c \'./tools/smudge\'"\n' +
      '[diff]\n\texternal = TOP/tools/diff\n[core]\n\tfsmonitor = ./tools/absent\n\tpager = less -R\n';
    const files = { 'tools/clean.py': '', 'tools/smudge': '', 'tools/diff': '', 'tools/other': '' };
    expect(await configured(config, files)).toEqual(['tools/absent', 'tools/clean.py', 'tools/diff', 'tools/smudge']);
  });
});

describe('a workspace that is a folder of hooks itself', () => {
  it('has each hook of it protected, and nothing else', async () => {
    const places = await configured('[core]\n\thooksPath = .\n', { 'src/file': '' });
    expect(places).toEqual(
      expect.arrayContaining(['pre-commit', 'post-checkout', 'reference-transaction', 'fsmonitor-watchman']),
    );
    expect(places).not.toContain('src');
  });
});

describe('commands that a few settings name', () => {
  it.each([
    ['[gpg "ssh"]\n\tdefaultKeyCommand = tools/key --any\n'],
    ['[core]\n\talternateRefsCommand = tools/key\n'],
    ['[submodule "x"]\n\tupdate = !tools/key\n'],
    ['[lfs "customtransfer.x"]\n\tpath = tools/key\n'],
  ])('are protected: %j', async (text) => {
    expect(await configured(text)).toEqual(['tools/key']);
  });
  it('and others of their names are not', async () => {
    expect(await configured('[submodule "x"]\n\tupdate = a/b\n\tpath = c/d\n')).toEqual([]);
  });
});

describe('a program of the host that is a hook', () => {
  it('has what it would read beside that named, where it is new', async () => {
    await configured('[core] hooksPath = own\n', { 'own/pre-push': 'call_lefthook run "pre-push"', 'lefthook.yml': '' });
    const sinceMs = Date.now() + 1;
    await sleep(20);
    for (const name of ['lefthook-local.yml', '.config/lefthook.toml', 'package.json', 'lefthook.yml']) {
      await mkdir(join(path, name, '..'), { recursive: true });
      await writeFile(join(path, name), '');
    }
    const { paths, complete } = await newRepositories(path, sinceMs, { held: ['lefthook.yml'] });
    const read = ['.config/lefthook.toml (read by .git/hooks)', 'lefthook-local.yml (read by .git/hooks)'];
    expect([paths, complete]).toEqual([[...read, 'lefthook.yml (changed meanwhile)'], true]);
  });

  it.each([
    ['pre-commit', '#!/usr/bin/env bash\nARGS=(hook-impl --config=.pre-commit-config.yaml)\nexec pre-commit "${ARGS[@]}"\n'],
    ['lefthook', '#!/bin/sh\ncall_lefthook run "pre-commit" "$@"\n'],
  ])('%s has the file that tells it what to run protected with it', async (name, hook) => {
    const files = { '.pre-commit-config.yaml': '', 'lefthook.yml': '', 'package.json': '' };
    expect(await configured('', files)).toEqual([]);
    expect(await configured('', { '.git/hooks/pre-push.sample': hook })).toEqual([]);
    expect(await configured('', { '.git/hooks/pre-push': hook })).toContain(
      name === 'lefthook' ? 'lefthook.yml' : '.pre-commit-config.yaml',
    );
    expect(await configured('[core] hooksPath = own\n', { 'own/pre-push': hook })).not.toContain('package.json');
  });
});

describe('settings', () => {
  it('are read as git reads them', async () => {
    const text =
      '\u{feff}[a]\n\tb = c d  # e\n x-1\t= " f ;" g "\\"h" \n[B.c]\n\tname=va\\tl\\\\ue\n[d "E ]f"]k = v\n\tlast = \\\n  w\n\tempty =\n';
    const file = join(path, 'some.config');
    await writeFile(file, text);
    const listed = (await git('config', '--file', file, '--list', '-z')).split('\0').slice(0, -1);
    const byGit = listed.map((row) => ({
      section: (row.split('\n')[0] ?? '').split('.')[0],
      name: (row.split('\n')[0] ?? '').split('.').at(-1),
      value: row.split('\n').slice(1).join('\n'),
    }));
    expect(byGit).toHaveLength(6);
    expect(gitSettings(text)).toEqual(byGit);
  });

  it('are refused where they cannot be read whole, and a link or a loop of them is not followed', async () => {
    await expect(configured(`# ${'x'.repeat(1024 * 1024)}\n`)).rejects.toMatchObject({ code: 'PATH_INVALID' });
    await symlink('/dev/zero', join(path, 'zero'));
    expect(await configured('[include]\n\tpath = ../zero\n\tpath = config\n\tpath = /dev/zero\n')).toEqual([
      '.git/config',
      'zero',
    ]);
  });
});

describe('a repository that a sandbox made to hold up the next start', () => {
  const naming = (count: number): string =>
    `[diff]\n${Array.from({ length: count }, (_, index) => `\texternal = bin/x${index}\n`).join('')}`;

  it('is refused where it names very much', async () => {
    await expect(configured(naming(2001))).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });

  it('is refused with others that name much together', async () => {
    for (const name of ['a', 'b', 'c']) {
      await mkdir(join(path, name, '.git'), { recursive: true });
      await writeFile(join(path, name, '.git/config'), plain + naming(1800));
    }
    await expect(nestedPaths(path, ['.git/config'])).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });
});

/** an ordinary user that every Debian has; root passes over modes */
const nobody = 65_534;
const isRoot = process.geteuid?.() === 0;
const asUser = isRoot ? { uid: nobody, gid: nobody } : {};
const sources = join(import.meta.dirname, '../../src/engines/workspace/nested-paths.ts');
// The checkout may lie where an ordinary user cannot go.
const reached = await run('cat', [sources], { env, ...asUser });

describe.skipIf(reached.exitCode !== 0)('a folder that a sandbox closed to the ordinary user whose it is', () => {
  const found = async (): Promise<string> => {
    const code =
      `const { nestedPaths } = await import(${JSON.stringify(sources)});` +
      `await nestedPaths(${JSON.stringify(path)}, ['.git/config']).then((rows) => console.log(rows.join(' ')), (error) => console.log(error.message));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { env, cwd: '/', ...asUser });
    return stdout.toString();
  };
  const shell = async (script: string): Promise<void> => {
    expect((await run('sh', ['-c', script], { env, cwd: path, ...asUser })).stderr.toString()).toBe('');
  };

  it('is named, and not passed by with all that is to be protected in it', async () => {
    path = await mkdtemp('/var/tmp/casemate-closed-');
    if (isRoot) {
      await chown(path, nobody, nobody);
    }
    try {
      await shell('mkdir -p packages/a/.git; touch packages/a/.git/config');
      expect(await found()).toContain('packages/a/.git/config');
      for (const mode of ['000', '600', '300']) {
        await shell(`chmod ${mode} packages`);
        expect(await found()).toContain("the workspace's folder packages cannot be looked into");
      }
      // A folder of somebody else's, who alone could open it, as data of a database may be.
      await shell('chmod 700 packages');
      if (isRoot) {
        await mkdir(join(path, 'data'), { mode: 0o700 });
        expect(await found()).toContain('packages/a/.git/config');
      }
    } finally {
      await run('rm', ['-rf', path], { env });
    }
  });
});
