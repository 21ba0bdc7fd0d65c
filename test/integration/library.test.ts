import { writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createSandbox } from '../../src/library/library.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import { sayOnly } from '../helpers/say-only.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { handTo, startInternet, type Internet } from '../helpers/internet.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const key = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-library';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['base', 'claude'])))('sandboxes from a program', () => {
  let home: Home;
  let api: ModelApi;
  let internet: Internet;

  beforeAll(async () => {
    home = await makeHome();
    api = await startModelApi({ expectedKey: key, script: sayOnly('All is well.') });
    internet = await startInternet({ 'api.anthropic.com': handTo(api.url) });
    await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
    Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
  });
  afterAll(async () => {
    await home.remove();
    internet.close();
    await api.close();
  });

  it('run commands, and are gone at the end of the block', async () => {
    const lines: string[] = [];
    let id: string;
    {
      await using sandbox = await createSandbox({ project: home.project, memory: '1g', cpus: 0.5, env: home.env });
      id = sandbox.id;
      // It lasts until its line was told of.
      const script = 'cat > given; echo said; until test -e told; do sleep 0.1; done; exit 3';
      const ran = await sandbox.run(['sh', '-c', script], {
        input: 'text',
        onProgress(line) {
          lines.push(line);
          if (line === 'said') {
            writeFileSync(join(home.project, 'told'), '');
          }
        },
      });
      expect(ran).toMatchObject({ exitCode: 3, stdout: 'said\n', stderr: '', timedOut: false });
      expect(lines).toContain('said');
      expect(await readFile(join(home.project, 'given'), 'utf8')).toBe('text');
      const signal = AbortSignal.timeout(300);
      await expect(sandbox.run(['sleep', '60'], { signal })).rejects.toThrow();
      await sandbox.destroy();
      await expect(sandbox.run(['true'])).rejects.toMatchObject({ code: 'SANDBOX_NOT_FOUND' });
    }
    expect(id).toMatch(/^cm-[0-9a-f]{16}$/);
  });

  it('end a command where the program fails at what it is told', async () => {
    await using sandbox = await createSandbox({ project: home.project, env: home.env });
    const ran = sandbox.run(['sh', '-c', 'echo said; sleep 7781'], {
      onProgress() {
        throw new Error('of the program');
      },
    });
    await expect(ran).rejects.toThrow('of the program');
    await expect
      .poll(async () => (await sandbox.run(['ps', '-e', '-o', 'args='])).stdout, { timeout: 20_000 })
      .not.toContain('7781');
    await expect(sandbox.run([])).rejects.toMatchObject({ code: 'USAGE' });
    await expect(sandbox.run(['id'], { env: { LD_PRELOAD: 'x' } })).rejects.toMatchObject({
      message: 'env.LD_PRELOAD: is a variable that no caller may set',
    });
  });

  it('give tasks to an agent with a key of their own', async () => {
    await using sandbox = await createSandbox({ project: home.project, agent: 'claude', apiKey: key, env: home.env });
    expect(await sandbox.task('look around')).toMatchObject({ result: 'All is well.', failed: false, exitCode: 0 });
  });

  it('keep a home and put it back, where the stand-ins for keys in it hold', async () => {
    await using sandbox = await createSandbox({ project: home.project, agent: 'claude', apiKey: key, env: home.env });
    if (!(await sandbox.run(['grep', ' /home/agent ext4 ', '/proc/mounts'])).stdout.includes('ext4')) {
      await expect(sandbox.snapshot()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      return;
    }
    const { snapshotId } = await sandbox.snapshot('fresh');
    await sandbox.run(['sh', '-c', 'rm -rf ~/.claude ~/.claude.json; echo x > ~/left']);
    await expect(sandbox.restore('sn-0000000000000000')).rejects.toMatchObject({ code: 'SNAPSHOT_NOT_FOUND' });
    expect(await sandbox.restore(snapshotId)).toMatchObject({ snapshotId, label: 'fresh' });
    expect((await sandbox.run(['ls', '-A', '/home/agent'])).stdout).not.toContain('left');
    expect(await sandbox.task('look around')).toMatchObject({ result: 'All is well.', failed: false });
  });

  it('give and take files within their roots', async () => {
    const aside = join(home.root, 'aside');
    await mkdir(aside);
    await writeFile(join(aside, 'given.txt'), 'given');
    await using sandbox = await createSandbox({ project: home.project, roots: [aside], env: home.env });
    expect(await sandbox.copyIn(join(aside, 'given.txt'), '/tmp/')).toMatchObject({ files: 1, bytes: 5 });
    expect(await sandbox.run(['cp', '/tmp/given.txt', '/home/agent/back.txt'])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.copyOut('/home/agent/back.txt', `${aside}/`)).toMatchObject({ files: 1 });
    expect(await readFile(join(aside, 'back.txt'), 'utf8')).toBe('given');
    await expect(sandbox.copyOut('/home/agent/back.txt', join(home.root, 'elsewhere'))).rejects.toMatchObject({
      code: 'NOT_ALLOWED',
    });
  });

  it('get no more than the policy gives, and errors with a code', async () => {
    const make = async (more: object) => await createSandbox({ project: home.project, env: home.env, ...more });
    await expect(make({ memory: '64g' })).rejects.toMatchObject({ code: 'POLICY_WIDENS' });
    await expect(make({ project: '/etc' })).rejects.toMatchObject({ code: 'PATH_INVALID' });
    await expect(make({ caller: 'No Name' })).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('a letter first'),
    });
    await expect(make({ readOnly: true })).rejects.toMatchObject({ hint: 'Did you mean "readonly"?' });
    for (const [odd, message] of [
      [{ readOnly: true }, 'createSandbox: readOnly: there is no such option'],
      [{ project: undefined }, 'createSandbox: project: is not a path'],
      [{ project: 'site' }, 'project: is not an absolute path'],
      [{ memory: 'lots' }, expect.stringMatching(/^memory: is not a size/)],
      [{ cpus: Number.NaN }, 'createSandbox: cpus: is not a number from 0.05 on'],
    ] as const) {
      await expect(make(odd)).rejects.toMatchObject({ code: 'USAGE', message });
    }
    await mkdir(join(home.root, 'other'));
    await using one = await make({ caller: 'one' });
    await using two = await make({ caller: 'two', project: join(home.root, 'other') });
    expect(one.id).not.toBe(two.id);
  });
});
