import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** A policy for one caller: in the place of the person's own, never where that caller can write. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a policy for one caller', () => {
  let home: Home;
  let root = '';
  let file = '';
  const callers: McpCaller[] = [];

  beforeAll(async () => {
    home = await makeHome();
    root = join(home.root, 'projects');
    file = join(home.root, 'nightly.yaml');
    await mkdir(join(root, 'one'), { recursive: true });
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(join(home.paths.config, 'policy.yaml'), 'version: 1\nnetwork: [{ host: mine.example.com }]\n');
    await writeFile(file, 'version: 1\nnetwork: [{ host: nightly.example.com }]\nlimits: { memory: 512m }\n');
  });
  afterAll(async () => {
    await Promise.all(callers.map(async (caller) => await caller.close()));
    await home.remove();
  });

  const planOf = async (...args: readonly string[]) => {
    const caller = await startCaller(home, { args: ['--root', root, ...args] });
    callers.push(caller);
    return async () => await caller.call('plan_session', { projectPath: join(root, 'one'), agent: 'none' });
  };

  it('holds for that caller alone', async () => {
    const [plain, nightly] = [await planOf(), await planOf('--caller', 'nightly', '--policy', file)];
    expect(await nightly()).toMatchObject({
      network: [{ host: 'nightly.example.com' }],
      limits: { memoryBytes: 512 * 1024 ** 2 },
    });
    expect(await plain()).toMatchObject({ network: [{ host: 'mine.example.com' }] });
  });

  it('gives a caller that asks for no agent none, nor what one needs, though the policy names one', async () => {
    const named = join(home.root, 'named.yaml');
    await writeFile(named, 'version: 1\nagent: { name: claude, permissions: skip }\n');
    const caller = await startCaller(home, { args: ['--root', root, '--caller', 'bare', '--policy', named] });
    callers.push(caller);
    const asked = async (agent?: string) => await caller.call('plan_session', { projectPath: join(root, 'one'), agent });
    expect(await asked()).toMatchObject({ agent: 'claude', network: [{ host: 'api.anthropic.com' }] });
    const bare = await asked('none');
    expect(bare).toMatchObject({ network: [] });
    expect(bare).not.toHaveProperty('agent');
  });

  it('holds for the token it was given with, and is shown', async () => {
    const added = await home.casemate(['caller', 'add', 'ci', '--root', root, '--policy', file, '--json']);
    expect(JSON.parse(added.out)).toMatchObject({ name: 'ci', policy: file });
  });

  it('is refused where the caller can write it, also when that comes later, and where it is missing', async () => {
    const own = join(root, 'one', 'policy.yaml');
    await writeFile(own, 'version: 1\nnetwork: [{ host: evil.example.com }]\n');
    await symlink(own, join(home.root, 'link.yaml'));
    for (const path of [own, join(home.root, 'link.yaml')]) {
      const { code, err } = await home.casemate(['caller', 'add', 'bad', '--root', root, '--policy', path]);
      expect(code, path).not.toBe(0);
      expect(err).toContain('where the caller itself works');
      const served = await home.casemate(['mcp', '--root', root, '--policy', path]);
      expect(served).toMatchObject({ code: 125, out: '', err: expect.stringContaining('where the caller itself works') });
    }
    const plan = await planOf('--policy', file);
    await rename(file, `${file}.away`);
    await expect(plan()).rejects.toThrow('PATH_INVALID');
    await symlink(own, file);
    await expect(plan()).rejects.toThrow('NOT_ALLOWED');
  });
});
