/** Repositories that a sandbox plants so that git runs a program of theirs on the host (WSP-07, G5, G7): judged by the file that program makes. */
import { lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { protectedPaths } from '../../src/sandbox/project/protected-paths.ts';
import { run } from '../../src/system/process.ts';
import { newRepositories } from '../../src/workspace/new-repositories.ts';
import { asked } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' };

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('a repository planted in the workspace', () => {
  let lab: OciLab;

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  const git = (path: string, ...args: readonly string[]) =>
    run('git', ['-C', path, '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], { env });
  const sh = (spec: SandboxSpec, script: string) => lab.inside(spec.id, ['sh', '-c', `cd /workspace; ${script}`]);

  async function started(fill: (path: string) => Promise<void>): Promise<SandboxSpec> {
    const spec = await lab.spec();
    await fill(spec.workspace.path);
    const made = { ...spec, workspace: { ...spec.workspace, protect: protectedPaths } };
    await lab.engine.create(made);
    await lab.engine.start(made.id);
    return made;
  }

  const exists = async (path: string): Promise<boolean> => (await lstat(path).catch(() => undefined)) !== undefined;

  /** Makes `.git` invalid and the folder around it a bare repository, its parts here or where `commondir` says. */
  const plant = (mark: string): string => {
    const config = `printf '[core]\\nrepositoryformatversion=0\\nbare=false\\nworktree=/nonexistent/..\\nfsmonitor=touch ${mark}; false\\n'`;
    return (
      `rm -f .git/HEAD; mkdir -p objects refs real/objects real/refs; echo 'ref: refs/heads/x' > HEAD; ${config} > config; ${config} > real/config; ` +
      'echo ../real > commondir; git --git-dir=. --work-tree=. status >/dev/null 2>&1; echo legal > legal'
    );
  };
  const plantHere = (mark: string): string =>
    `rm -f .git/HEAD; mkdir -p objects refs; echo 'ref: refs/heads/x' > HEAD; printf '[core]\\nrepositoryformatversion=0\\nbare=false\\nworktree=.\\nfsmonitor=touch ${mark}; false\\n' > config; echo legal > legal`;

  it.each([
    ['a new project', async () => undefined],
    ['one with a folder `refs` of its own', async (path: string) => fillFolder(path, 'refs')],
    [
      'one with folders `refs` and `objects`',
      async (path: string) => fillFolder(path, 'refs').then(() => fillFolder(path, 'objects')),
    ],
  ])('does not take the place of `.git` in the top folder of %s (WSP-07)', async (_, more) => {
    const spec = await started(async (path) => {
      await git(path, 'init', '--quiet');
      await more(path);
    });
    const { path } = spec.workspace;
    for (const script of [plantHere, plant]) {
      const mark = join(lab.folder, `MARK-${spec.id}`);
      await sh(spec, script(mark));
      await git(path, 'status');
      await git(path, 'diff');
      expect(await exists(join(path, 'legal'))).toBe(true);
      expect(await exists(mark)).toBe(false);
    }
    await lab.engine.remove(spec.id);
    // Seen red: the same files, put there without the protection, run the agent's program.
    await rm(join(path, 'commondir'), { force: true });
    await run('sh', ['-c', `cd "$1"; ${plantHere(join(path, 'MARK'))}`, 'sh', path], { env });
    await git(path, 'status');
    expect(await exists(join(path, 'MARK'))).toBe(true);
  });

  it('leaves git as it was for a person outside and an agent inside: nothing new to see, HEAD means the commit', async () => {
    const spec = await started(async (path) => {
      await git(path, 'init', '--quiet');
      await writeFile(join(path, 'f'), 'x');
      await git(path, 'add', 'f');
      await git(path, 'commit', '--quiet', '--message', 'one');
    });
    const { path } = spec.workspace;
    expect((await git(path, 'status', '--porcelain')).stdout.toString()).toBe('');
    expect((await git(path, 'log', '--format=%s', 'HEAD')).stdout.toString()).toBe('one\n');
    expect((await sh(spec, 'git log --format=%s HEAD')).out).toBe('one\n');
    await lab.engine.remove(spec.id);
    expect((await readdir(path)).toSorted()).toEqual(['.git', 'f']);
  });

  it('is held where the workspace itself is a bare repository: its settings stay as they are', async () => {
    const spec = await started(async (path) => {
      await git(path, 'init', '--quiet', '--bare');
      await fillFolder(path, 'refs');
      await fillFolder(path, 'objects');
    });
    await sh(spec, 'echo planted >> config; echo planted > hooks/post-update; mv hooks h; echo x > legal');
    const { path } = spec.workspace;
    expect(await exists(join(path, 'legal'))).toBe(true);
    expect((await run('grep', ['-rl', 'planted', path], { env })).stdout.toString()).toBe('');
    await lab.engine.remove(spec.id);
  });

  it('is named afterwards wherever it is, and those that were there are not (G7)', async () => {
    const spec = await started(async (path) => {
      for (const folder of ['old', 'moved']) {
        await git(path, 'init', '--quiet', folder);
      }
      await git(path, 'init', '--quiet', '.');
      await sleep(20);
    });
    const sinceMs = Date.now();
    await sleep(20);
    const { path } = spec.workspace;
    const mark = join(lab.folder, `MARK-${spec.id}`);
    const program = `git config -f "$1" core.fsmonitor 'touch ${mark}; false'`;
    await sh(
      spec,
      `export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=a GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=a@example.com; set_() { ${program}; }; ` +
        'git init -q sub; git -C sub commit -q --allow-empty -m x; git add sub; set_ sub/.git/config; ' +
        'mkdir -p docs/objects docs/refs; echo ref: refs/heads/x > docs/HEAD; mkdir -p "a b/real/objects" "a b/real/refs"; echo ref: refs/heads/x > "a b/HEAD"; echo real > "a b/commondir"; ' +
        'mkdir file nocfg; echo gitdir: ../sub/.git > file/.git; mkdir -p nocfg/.git/hooks nocfg/.git/objects nocfg/.git/refs; cp sub/.git/HEAD nocfg/.git/; ' +
        'odd=$(printf "x\\377"); mkdir -p "$odd"; git init -q "$odd"; mkdir node_modules; git init -q node_modules/deep; ln -s / out; git -C old commit -q --allow-empty -m y; git commit -q --allow-empty -m top',
    );
    const found = await newRepositories(path, sinceMs);
    expect(found).toEqual({ paths: ['a b', 'docs', 'file', 'nocfg', 'node_modules/deep', 'sub', 'x\u{fffd}'], complete: true });
    // What it is about: no mount can keep this from the host, so it has to be said.
    await git(path, 'status');
    expect(await exists(mark)).toBe(true);
    expect(await newRepositories(path, Date.now() + 1000)).toEqual({ paths: [], complete: true });
    expect((await newRepositories(path, sinceMs, { timeoutMs: 5000, bytes: 10 })).complete).toBe(false);
    await lab.engine.remove(spec.id);
  });

  it('is named also where all of it but its name is older than the start (G7)', async () => {
    const mark = join(lab.folder, 'MARK-older');
    const spec = await started(async (path) => {
      await git(path, 'init', '--quiet', 'kept');
      // What a sandbox before this one left: no repository yet, so nobody was told.
      await mkdir(join(path, 'sub/parts/refs'), { recursive: true });
      await mkdir(join(path, 'sub/parts/objects'));
      await writeFile(join(path, 'sub/parts/config'), `[core]\n\tfsmonitor = touch ${mark}; false\n`);
      await mkdir(join(path, 'bare/later'), { recursive: true });
      await mkdir(join(path, 'bare/objects'));
      await writeFile(join(path, 'bare/HEAD'), 'ref: refs/heads/x\n');
      await sleep(20);
    });
    const sinceMs = Date.now();
    await sleep(20);
    const { path } = spec.workspace;
    const options = { held: await lab.engine.heldPlaces?.(spec.id) };
    await sh(spec, "mv sub/parts sub/.git; echo 'ref: refs/heads/x' > sub/.git/HEAD; mv bare/later bare/refs");
    await sh(spec, 'git -C kept -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m x');
    expect(await newRepositories(path, sinceMs, options)).toEqual({ paths: ['bare', 'sub'], complete: true });
    await git(join(path, 'sub'), 'status');
    expect(await exists(mark)).toBe(true);
    await lab.engine.remove(spec.id);
  });

  it('does not keep the next start from happening, however many protected names there are', async () => {
    // what a login shell usually has, inherited by what the engine starts
    const limit = async (open: string): Promise<void> => {
      await run('prlimit', ['--pid', String(process.pid), `--nofile=${open}:`], { env });
    };
    const before = (
      await run('prlimit', ['--pid', String(process.pid), '--nofile', '--noheadings', '--output', 'SOFT'], { env })
    ).stdout
      .toString()
      .trim();
    await limit('1024');
    const spec = await started(async (path) => {
      for (let index = 0; index < 700; index += 1) {
        await mkdir(join(path, `p${index}/.vscode`), { recursive: true });
      }
    });
    await limit(before);
    await sh(spec, 'echo x > p699/.vscode/tasks.json; echo x > p0/.vscode/tasks.json; echo legal > legal');
    expect(await readdir(join(spec.workspace.path, 'p699/.vscode'))).toEqual([]);
    expect(await readdir(join(spec.workspace.path, 'p0/.vscode'))).toEqual([]);
    expect(await exists(join(spec.workspace.path, 'legal'))).toBe(true);
    await lab.engine.remove(spec.id);
  });

  it('does not hide what is protected behind many files: a submodule of the next sandbox is held (MNT-08)', async () => {
    const spec = await started(async (path) => {
      await git(path, 'init', '--quiet', 'vendor/lib/deep/x');
      // what a sandbox before this one left there
      await run(
        'python3',
        [
          '-c',
          'import os,sys\nos.mkdir(sys.argv[1])\nfor i in range(25000): open(sys.argv[1]+"/%d"%i,"w").close()',
          join(path, 'aaa'),
        ],
        { env },
      );
    });
    await sh(
      spec,
      'echo planted >> vendor/lib/deep/x/.git/config; echo planted > vendor/lib/deep/x/.git/hooks/post-checkout; echo x > vendor/lib/deep/x/legal',
    );
    const deep = join(spec.workspace.path, 'vendor/lib/deep/x');
    expect(await exists(join(deep, 'legal'))).toBe(true);
    expect((await run('grep', ['-rl', 'planted', deep], { env })).stdout.toString()).toBe('');
    await lab.engine.remove(spec.id);
  });

  it('refuses a start by name where there are more protected names than can be held', async () => {
    const spec = await lab.spec();
    await run(
      'python3',
      ['-c', 'import os,sys\nfor i in range(5100): os.makedirs(sys.argv[1]+"/%d/.vscode"%i)', spec.workspace.path],
      { env },
    );
    const made = { ...spec, workspace: { ...spec.workspace, protect: protectedPaths } };
    await expect(lab.engine.create(made)).rejects.toMatchObject({
      code: 'PATH_INVALID',
      message: expect.stringContaining('5000 names'),
    });
    expect(await lab.engine.list(lab.owner)).toEqual([]);
  });

  it('holds up no reader on the host: no lease on a file of the workspace can be taken, locks can', async () => {
    const spec = await started(async (path) => writeFile(join(path, 'f'), 'x'));
    const program =
      '[attempt(fcntl.fcntl, os.open("/workspace/f", 2), 1024, 1), attempt(fcntl.lockf, os.open("/workspace/f", 2), 2)]';
    expect(await asked(lab, spec.id, program)).toEqual(['EPERM', 'DONE']);
    await lab.engine.remove(spec.id);
  });
});

async function fillFolder(path: string, name: string): Promise<void> {
  await mkdir(join(path, name), { recursive: true });
  await writeFile(join(path, name, 'mine'), '');
}
