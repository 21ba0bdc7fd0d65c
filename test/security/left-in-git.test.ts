/** What a sandbox writes into `.git` of its workspace so that git of the host writes, reads or runs something elsewhere (WSP-07, G7): judged by what git does. */
import { lstat, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { protectedPaths } from '../../src/sandbox/project/protected-paths.ts';
import { run } from '../../src/system/process.ts';
import { newRepositories } from '../../src/workspace/new-repositories.ts';
import { forgedIndex, git, gitEnv as env, gitNames, repository } from '../helpers/repository.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const exists = async (path: string): Promise<boolean> => (await lstat(path).catch(() => undefined)) !== undefined;

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('what a sandbox writes into `.git`', () => {
  let lab: OciLab;

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  const sh = (spec: SandboxSpec, script: string) => lab.inside(spec.id, ['sh', '-c', `cd /workspace; ${script}`]);

  async function started(): Promise<SandboxSpec> {
    const spec = await lab.spec();
    await repository(spec.workspace.path);
    const made = { ...spec, workspace: { ...spec.workspace, protect: protectedPaths } };
    await lab.engine.create(made);
    await lab.engine.start(made.id);
    return made;
  }

  const plantHooks = (mark: string): string =>
    `git init -q --bare elsewhere; printf '#!/bin/sh\\ntouch ${mark}\\n' > elsewhere/hooks/post-update; chmod +x elsewhere/hooks/post-update; ` +
    "for f in remotes branches; do mkdir -p .git/$f; printf 'URL: ./elsewhere\\nPush: refs/heads/main:refs/heads/main\\n' > .git/$f/origin; done; echo legal > legal";

  it('does not say where git pushes to, or whose contents are its own; git inside works as before', async () => {
    const spec = await started();
    const { path } = spec.workspace;
    const mark = join(lab.folder, `MARK-${spec.id}`);
    await sh(
      spec,
      `${plantHooks(mark)}; echo /elsewhere/objects > .git/objects/info/alternates; mv .git/objects/info .git/i; mv .git/objects .git/o`,
    );
    await git(path, 'push');
    expect(await exists(join(path, 'legal'))).toBe(true);
    expect(await exists(mark)).toBe(false);
    expect(await readFile(join(path, '.git/objects/info/alternates'), 'utf8')).toBe('');
    const used = await sh(
      spec,
      `git ${gitNames.join(' ')} commit -q --allow-empty -m two && git gc -q && git fsck --full && git log --format=%s`,
    );
    expect([used.code, used.out, used.err]).toEqual([0, 'two\none\n', '']);
    await lab.engine.remove(spec.id);
    expect(await readdir(join(path, '.git/objects/info'))).not.toContain('alternates');
    // Seen red: the same files, put there without the protection, run the agent's program.
    await run('sh', ['-c', `cd "$1"; ${plantHooks(mark)}`, 'sh', path], { env });
    await git(path, 'push');
    expect(await exists(mark)).toBe(true);
  });

  it('are no settings: git of the host cannot replace them while a sandbox runs, and what is replaced all the same is named', async () => {
    const spec = await started();
    const { path } = spec.workspace;
    await sleep(20);
    const sinceMs = Date.now();
    const refused = await git(path, 'config', 'x.y', 'z');
    expect([refused.exitCode, refused.stderr.toString()]).toEqual([255, expect.stringContaining('could not lock config file')]);
    const config = join(path, '.git/config');
    const plant =
      "printf '[core]\\n\\tfsmonitor = touch MARK; false\\n' >> .git/config; echo x > .git/config.lock; rm -f .git/config.lock; echo legal > legal2";
    await sh(spec, plant);
    expect(await exists(join(path, 'legal2'))).toBe(true);
    expect(await readFile(config, 'utf8')).not.toContain('fsmonitor');
    const held = (await lab.engine.heldPlaces?.(spec.id)) ?? [];
    expect(await newRepositories(path, sinceMs, { held })).toEqual({ paths: [], complete: true });
    // Another program of the host, which asks for no lock.
    await writeFile(join(path, '.git/new'), await readFile(config));
    await rename(join(path, '.git/new'), config);
    expect((await newRepositories(path, sinceMs, { held })).paths).toEqual(['.git/config (changed meanwhile)']);
    await lab.engine.remove(spec.id);
    expect((await git(path, 'config', 'x.y', 'z')).exitCode).toBe(0);
  });

  it('is named, where git of the host would write, read or go on by it (G7)', async () => {
    const spec = await started();
    const { path } = spec.workspace;
    await sleep(20);
    const sinceMs = Date.now();
    await sleep(20);
    const secret = join(lab.folder, `secret-${spec.id}`);
    const target = join(lab.folder, `target-${spec.id}`);
    await writeFile(secret, 'a key\n');
    await writeFile(target, '');
    const hash = 'a'.repeat(40);
    const script =
      `git status -s; mkdir -p .git/rr-cache/${hash}; echo x > .git/rr-cache/${hash}/preimage; printf '${hash}\\t${secret}\\0' > .git/MERGE_RR; ` +
      `ln -sf ${target} .git/logs/HEAD; mkfifo .git/pipe; mkdir .git/rebase-merge; echo 'exec touch x' > .git/rebase-merge/git-rebase-todo`;
    await sh(spec, script);
    await forgedIndex(path, ['../outside', '.git/hooks/post-checkout']);
    const named = ['MERGE_RR', 'index', 'logs/HEAD', 'pipe', 'rebase-merge/git-rebase-todo'];
    expect(await newRepositories(path, sinceMs)).toEqual({ paths: named.map((name) => `.git/${name}`), complete: true });
    expect(await newRepositories(path, Date.now() + 1000)).toEqual({ paths: [], complete: true });
    await lab.engine.remove(spec.id);
    // What it is about: git of the host takes all of it for its own.
    await rm(join(path, '.git/rebase-merge'), { recursive: true });
    await git(path, 'checkout', '.');
    expect(await exists(join(path, 'MARK'))).toBe(true);
    expect(await exists(join(path, '../outside'))).toBe(true);
    await git(path, 'commit', '--quiet', '--allow-empty', '--message', 'x; touch MARK');
    expect(await readFile(join(path, `.git/rr-cache/${hash}/postimage`), 'utf8')).toBe('a key\n');
    expect(await readFile(target, 'utf8')).toContain('commit: x; touch MARK');
  });
});
