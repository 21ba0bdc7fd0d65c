/** Protected paths of a workspace in `direct` mode (MNT-08, MNT-09, MNT-14, G5): judged on the host's disk, not by exit codes inside. */
import { lstat, mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { protectedPaths } from '../../src/sandbox/project/protected-paths.ts';
import { run } from '../../src/system/process.ts';
import { python } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' };

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('protected paths of a workspace', () => {
  let lab: OciLab;

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  async function prepared(
    fill: (path: string) => Promise<void>,
    protect: readonly string[] = protectedPaths,
  ): Promise<SandboxSpec> {
    const spec = await lab.spec();
    await fill(spec.workspace.path);
    return { ...spec, workspace: { ...spec.workspace, protect } };
  }

  async function started(fill: (path: string) => Promise<void>, protect?: readonly string[]): Promise<SandboxSpec> {
    const spec = await prepared(fill, protect);
    await lab.engine.create(spec);
    await lab.engine.start(spec.id);
    return spec;
  }

  const sh = (spec: SandboxSpec, script: string) => lab.inside(spec.id, ['sh', '-c', script]);
  const git = (path: string, ...args: readonly string[]) =>
    run('git', ['-C', path, '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], { env });
  const repository = async (path: string): Promise<void> => {
    await git(path, 'init', '--quiet');
    await writeFile(join(path, 'file'), 'one\n');
    await git(path, 'add', 'file');
    await git(path, 'commit', '--quiet', '--message', 'one');
  };

  it('are not made where they did not exist, and nothing of ours is left (MNT-08, CVE-2026-25725)', async () => {
    const spec = await started(async () => undefined);
    const { path } = spec.workspace;
    await sh(
      spec,
      'cd /workspace; mkdir -p .git/hooks .vscode .claude; for f in .git/hooks/post-checkout .git/config .vscode/tasks.json .claude/settings.json ' +
        '.mcp.json .envrc .devcontainer.json; do echo planted > $f; mv -f .envrc x; rm -rf $f; echo planted > $f; done; echo legal > legal',
    );
    expect(await readFile(join(path, 'legal'), 'utf8')).toBe('legal\n');
    for (const name of ['.git', '.vscode', '.claude']) {
      expect(await readdir(join(path, name)).catch(() => [])).toEqual([]);
    }
    for (const name of ['.mcp.json', '.envrc', '.devcontainer.json']) {
      expect((await lstat(join(path, name))).isSocket(), name).toBe(true);
    }
    await lab.engine.stop(spec.id, { graceMs: 0 });
    expect(await readdir(path)).toEqual(['legal']);
    await lab.engine.remove(spec.id);
  });

  it('do not move when their parent is renamed, exchanged or replaced (MNT-09)', async () => {
    const spec = await started(repository);
    const { path } = spec.workspace;
    const before = await readFile(join(path, '.git/config'), 'utf8');
    await sh(
      spec,
      'cd /workspace; mv .git .g; mkdir -p .git/hooks; cp -r .g/* .git/; echo x >> .git/config; echo x > .git/hooks/pre-commit; rm -rf .git/hooks .git/config',
    );
    await sh(
      spec,
      'cd /workspace; echo x > evil; mv -f evil .git/config; ln -f evil .git/config; ln -sf /tmp .git/hooks; mount --bind /tmp .git/hooks',
    );
    const exchange = `
os.makedirs('/workspace/mine/hooks', exist_ok=True)
open('/workspace/mine/config', 'w').write('planted')
answer([libc.renameat2(-100, a, -100, b, 2) for a, b in ((b'/workspace/mine', b'/workspace/.git'), (b'/workspace/mine/config', b'/workspace/.git/config'), (b'/workspace/mine/hooks', b'/workspace/.git/hooks'), (b'/workspace/mine', b'/workspace/file'))])`;
    // the last pair is not protected: the call itself works
    expect(JSON.parse((await python(lab, spec.id, exchange)).out)).toEqual([-1, -1, -1, 0]);
    expect(await readFile(join(path, '.git/config'), 'utf8')).toBe(before);
    expect(await readdir(join(path, '.git/hooks'))).not.toContain('pre-commit');
    await lab.engine.remove(spec.id);
  });

  it('include the file that tells git to read its settings elsewhere (.git/commondir)', async () => {
    const spec = await started(repository);
    const { path } = spec.workspace;
    const mark = join(lab.folder, 'MARK');
    await sh(
      spec,
      `cd /workspace; cp -r .git evil; printf '[core]\\n\\tfsmonitor = touch ${mark}; false\\n' >> evil/config; rm -f .git/commondir; echo ../evil > .git/commondir`,
    );
    await git(path, 'status');
    expect(await lstat(mark).catch(() => undefined)).toBeUndefined();
    // Seen red: without the protection the same file runs a program of the agent on the host.
    await lab.engine.remove(spec.id);
    await writeFile(join(path, '.git/commondir'), '../evil\n');
    await git(path, 'status');
    expect((await lstat(mark)).isFile()).toBe(true);
  });

  it('leave git usable inside and outside: status, commit, branch', async () => {
    const spec = await started(repository);
    const { path } = spec.workspace;
    const script =
      'cd /workspace && export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com && ' +
      'git status --porcelain && echo two >> file && git commit -qam two && git checkout -qb side && echo three > new && git add -A && git commit -qm three && ' +
      'git log --format=%s && git status --porcelain';
    expect(await sh(spec, script)).toMatchObject({ code: 0, out: 'three\ntwo\none\n' });
    expect((await git(path, 'log', '--format=%s')).stdout.toString()).toBe('three\ntwo\none\n');
    expect((await git(path, 'ls-tree', '--name-only', '-r', 'HEAD')).stdout.toString()).toBe('file\nnew\n');
    await lab.engine.remove(spec.id);
    expect((await git(path, 'status', '--porcelain')).stdout.toString()).toBe('');
    expect((await readdir(path)).toSorted()).toEqual(['.git', 'file', 'new']);
    expect(await readdir(join(path, '.git'))).not.toContain('commondir');
  });

  it.each([
    ['.git', (path: string) => symlink('/tmp', join(path, '.git'))],
    ['.claude', (path: string) => symlink('elsewhere', join(path, '.claude'))],
    ['.git/hooks', (path: string) => mkdir(join(path, '.git')).then(() => symlink('../x', join(path, '.git/hooks')))],
  ])('refuse a start by name when %s is a symbolic link (MNT-14)', async (name, fill) => {
    const spec = await prepared(fill);
    await expect(lab.engine.create(spec)).rejects.toMatchObject({ code: 'PATH_INVALID', message: expect.stringContaining(name) });
    expect(await lab.engine.list(lab.owner)).toEqual([]);
  });

  it('hold deeper in the tree: packages, submodules, linked worktrees, and the hooks folder that git is told of', async () => {
    const spec = await started(async (path) => {
      await repository(path);
      await git(path, 'config', 'core.hooksPath', '.githooks');
      for (const folder of ['packages/a/.vscode', '.githooks', 'sub/.git/hooks', '.git/worktrees/w', 'node_modules/x/.vscode']) {
        await mkdir(join(path, folder), { recursive: true });
      }
      await writeFile(join(path, 'sub/.git/config'), '[core]\n');
      await writeFile(join(path, '.githooks/pre-commit'), 'mine\n');
      await mkdir(join(path, 'linked'));
      await writeFile(join(path, 'linked/.git'), 'gitdir: elsewhere\n');
    });
    const { path } = spec.workspace;
    await sh(
      spec,
      'cd /workspace; for f in packages/a/.vscode/tasks.json .githooks/pre-commit sub/.git/hooks/x sub/.git/config .git/worktrees/w/commondir linked/.git; do ' +
        'echo planted > $f; rm -rf $f; echo planted > $f; done; mv packages/a packages/b; mv packages p2; mv sub s2; mv linked l2; mv .githooks h2; echo x > node_modules/x/.vscode/ok; mkdir .git/worktrees/new',
    );
    expect(await readdir(join(path, 'packages/a/.vscode'))).toEqual([]);
    expect(await readdir(join(path, 'sub/.git/hooks'))).toEqual([]);
    expect(await readdir(join(path, '.git/worktrees/w'))).toEqual([]);
    expect(await readFile(join(path, '.githooks/pre-commit'), 'utf8')).toBe('mine\n');
    expect(await readFile(join(path, 'sub/.git/config'), 'utf8')).toBe('[core]\n');
    expect(await readFile(join(path, 'linked/.git'), 'utf8')).toBe('gitdir: elsewhere\n');
    expect(await readdir(join(path, 'node_modules/x/.vscode'))).toEqual(['ok']);
    expect(await readdir(join(path, '.git/worktrees'))).toContain('new');
    await lab.engine.remove(spec.id);
  });

  it('hold what git runs by itself, however its settings name it (WSP-06)', async () => {
    const spec = await started(async (path) => {
      await repository(path);
      await mkdir(join(path, 'tools'));
      await writeFile(join(path, 'tools/clean.sh'), 'cat\n');
      await writeFile(join(path, '.gitconfig'), '[core] hooksPath = .githooks # ours\n');
      const config = await readFile(join(path, '.git/config'), 'utf8');
      const more = `[include] path = ${path}/.gitconfig\n[filter "x"]\n\tclean = sh tools/clean.sh\n[diff]\n\texternal = ./tools/diff\n`;
      await writeFile(join(path, '.git/config'), config + more);
    });
    const { path } = spec.workspace;
    await sh(
      spec,
      'cd /workspace; mv tools t2; mv .githooks h2; mkdir -p tools .githooks; for f in .githooks/pre-commit .githooks/post-checkout tools/clean.sh tools/diff; do ' +
        'printf "#!/bin/sh\\necho run >> .git/ran\\ncat\\n" > $f; chmod +x $f; rm -rf $f; printf "#!/bin/sh\\necho run >> .git/ran\\ncat\\n" > $f; chmod +x $f; done; ' +
        'echo "# planted" >> .gitconfig; echo "* filter=x" > .gitattributes; echo two >> file; echo mine > tools/other',
    );
    const added = await git(path, 'add', '-A');
    expect(`${added.exitCode} ${added.stderr.toString()}`).toMatch(/^0 /);
    await git(path, 'diff', 'HEAD');
    await git(path, 'checkout', '-q', '-b', 'side');
    await git(path, '-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '-qm', 'two');
    expect(await readdir(join(path, '.git'))).not.toContain('ran');
    expect(await readFile(join(path, 'tools/clean.sh'), 'utf8')).toBe('cat\n');
    expect(await readFile(join(path, 'tools/other'), 'utf8')).toBe('mine\n');
    expect(await readFile(join(path, '.gitconfig'), 'utf8')).not.toContain('planted');
    await lab.engine.remove(spec.id);
    expect((await readdir(path)).toSorted()).toEqual(['.git', '.gitattributes', '.gitconfig', 'file', 'tools']);
  });

  it('keep what the user put into a placeholder while the sandbox ran', async () => {
    const spec = await started(async () => undefined, ['.vscode', '.mcp.json']);
    const { path } = spec.workspace;
    await writeFile(join(path, '.vscode/settings.json'), '{}');
    await rm(join(path, '.mcp.json'));
    await writeFile(join(path, '.mcp.json'), '{"mine":1}');
    await lab.engine.remove(spec.id);
    expect(await readFile(join(path, '.vscode/settings.json'), 'utf8')).toBe('{}');
    expect(await readFile(join(path, '.mcp.json'), 'utf8')).toBe('{"mine":1}');
  });

  it('stay protected for a second sandbox when the first on the same workspace ends', async () => {
    const first = await started(async () => undefined, ['.vscode', '.mcp.json']);
    const second = { ...(await lab.spec()), workspace: first.workspace };
    await lab.engine.create(second);
    await lab.engine.start(second.id);
    await lab.engine.remove(first.id);
    await sh(second, 'cd /workspace; mkdir -p .vscode; echo x > .vscode/tasks.json; echo x > .mcp.json');
    expect(await readdir(join(first.workspace.path, '.vscode'))).toEqual([]);
    await lab.engine.remove(second.id);
    expect(await readdir(first.workspace.path)).toEqual([]);
  });

  it('are kept by as many sandboxes as work in one empty folder, and the last one leaves it empty', async () => {
    const first = await started(async () => undefined);
    const others = [1, 2].map(async () => ({ ...(await lab.spec()), workspace: first.workspace }));
    const all = [first, ...(await Promise.all(others))];
    for (const spec of all.slice(1)) {
      await lab.engine.create(spec);
    }
    for (const { id } of all) {
      await lab.engine.remove(id);
    }
    expect(await readdir(first.workspace.path)).toEqual([]);
  });

  it('cannot be taken apart by root in the user namespace of the sandbox either', async () => {
    const spec = await started(repository);
    const [pid = 0] = await lab.engine.processes(spec.id);
    const asRoot = (...words: readonly string[]) =>
      run('nsenter', ['--target', String(pid), '--user', '--mount', '--setuid', '0', '--setgid', '0', '--', ...words], { env });
    const inner = ['.git', '.git/hooks', '.git/config', '.vscode', '.mcp.json'].map((path) => `/workspace/${path}`);
    const shown = async (): Promise<readonly string[]> =>
      (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).split('\n').filter((line) => line.includes(' /workspace/'));
    const before = await shown();
    for (const path of inner) {
      await asRoot('umount', path);
      await asRoot('umount', '--lazy', path);
      await asRoot('mount', '-o', 'remount,bind,rw', path);
      await asRoot('mount', '--move', path, '/tmp');
    }
    await asRoot('umount', '--recursive', '/workspace');
    expect(await shown()).toEqual(before);
    expect(before.length).toBeGreaterThan(inner.length);
    // The same hand takes away what it made itself.
    await asRoot('mount', '-t', 'tmpfs', 'tmpfs', '/workspace/.git/refs');
    expect((await shown()).length).toBe(before.length + 1);
    await asRoot('umount', '/workspace/.git/refs');
    expect(await shown()).toEqual(before);
    await lab.engine.remove(spec.id);
  });

  it("end the sandbox's commands when the host replaced one, because then nothing holds it any more", async () => {
    const spec = await started(repository);
    const { path } = spec.workspace;
    await writeFile(join(path, '.git/config.new'), '[core]\n');
    await rename(join(path, '.git/config.new'), join(path, '.git/config'));
    const command = { command: ['true'], tty: false, executionId: 'after' };
    await expect(lab.engine.attach(spec.id, command)).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('.git/config'),
    });
    await lab.engine.stop(spec.id, { graceMs: 0 });
    await lab.engine.start(spec.id);
    expect((await sh(spec, 'echo x >> /workspace/.git/config')).code).not.toBe(0);
    await lab.engine.remove(spec.id);
  });

  it('are not needed where the workspace is read-only: nothing in it can be written (MNT-04)', async () => {
    const spec = await lab.spec();
    await writeFile(join(spec.workspace.path, 'f'), 'x');
    const readonly = { ...spec, workspace: { ...spec.workspace, mode: 'readonly' as const, protect: protectedPaths } };
    await lab.engine.create(readonly);
    await lab.engine.start(spec.id);
    const { out } = await sh(
      spec,
      'cd /workspace; for c in "touch x" "chmod 777 f" "truncate -s0 f" "mount -o remount,rw /workspace" "rm f"; do $c 2>/dev/null && echo done; done; cat f',
    );
    expect(out).toBe('x');
    expect(await readdir(spec.workspace.path)).toEqual(['f']);
    await lab.engine.remove(spec.id);
  });
});
