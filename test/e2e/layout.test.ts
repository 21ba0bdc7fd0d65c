import { lstat, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** A workspace that is laid out: what of it can be written from inside, and what is taken out by default. */

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a layout of the workspace', { timeout: 120_000 }, () => {
  let home: Home;
  let caller: McpCaller;
  let sessionId: string;

  beforeAll(async () => {
    home = await makeHome();
    await mkdir(join(home.project, 'imports'));
    await writeFile(join(home.project, 'imports/given.txt'), 'given\n');
    await mkdir(join(home.project, 'src/imports'), { recursive: true });
    caller = await startCaller(home);
    const made = await caller.call('create_session', { projectPath: home.project, agent: 'none', layout: 'all' });
    sessionId = String(made['sessionId']);
  }, 120_000);

  afterAll(async () => {
    await caller.close();
    await home.remove();
  });

  const inside = async (command: string): Promise<string> =>
    String((await caller.call('execute_command', { sessionId, command: `exec 2>&1; ${command}` }))['stdout']);

  it('has its folders, which belong to whom the project belongs', async () => {
    const names = ['Documentation', 'Projects', 'Research', 'exports', 'imports', 'shared'];
    expect(await readdir(home.project)).toEqual(expect.arrayContaining(names));
    const { uid, gid } = await stat(home.project);
    for (const name of names) {
      expect(await stat(join(home.project, name))).toMatchObject({ uid, gid });
    }
    for (const name of names.filter((one) => one !== 'imports')) {
      expect(await inside(`echo new > ${name}/new && cat ${name}/new`)).toBe('new\n');
    }
  });

  it.each([
    ['a new file', 'touch imports/new', /Read-only file system/],
    ['a file that is there', 'echo x >> imports/given.txt', /Read-only file system/],
    ['its length', 'truncate -s 0 imports/given.txt', /Read-only file system/],
    ['its mode', 'chmod 777 imports/given.txt', /Read-only file system/],
    ['its name', 'mv imports/given.txt imports/other.txt', /Read-only file system/],
    ['another name for it', 'ln imports/given.txt shared/given.txt', /cross-device/i],
    ['the folder itself', 'mv imports taken', /busy/],
    ['the folder in its place', 'rm -rf imports; mkdir imports', /Read-only file system|busy/],
    ['the mount', 'mount -o remount,rw /workspace/imports', /denied|not permitted|must be superuser/],
    ['the mount, gone', 'umount /workspace/imports', /denied|not permitted|must be superuser/],
    ['by way of the process', 'echo x > /proc/self/root/workspace/imports/new', /Read-only file system/],
  ])('of imports nothing is changed from inside: %s', async (_, command, refusal) => {
    expect(await inside(command)).toMatch(refusal);
    expect(await readdir(join(home.project, 'imports'))).toEqual(['given.txt']);
    expect(await readFile(join(home.project, 'imports/given.txt'), 'utf8')).toBe('given\n');
  });

  it('is read, also what comes later; deeper down the name is one like any other', async () => {
    expect(await inside('cat imports/given.txt')).toBe('given\n');
    await writeFile(join(home.project, 'imports/later.txt'), 'later\n');
    expect(await inside('cat imports/later.txt; rm -f shared/x; echo fine > src/imports/x && cat src/imports/x')).toBe(
      'later\nfine\n',
    );
  });

  it('gives out what lies in exports where nobody says what', async () => {
    await inside('mkdir -p exports/deep; echo result > exports/deep/result.txt');
    const destPath = join(home.root, 'out');
    const taken = await caller.call('transfer_files', { sessionId, direction: 'from_container', destPath });
    expect(taken['files']).toBe(2);
    expect(await readFile(join(destPath, 'deep/result.txt'), 'utf8')).toBe('result\n');
    expect(
      await caller.refusal('transfer_files', { sessionId, direction: 'to_container', destPath: '/workspace/shared' }),
    ).toContain('USAGE: sourcePath is missing');
  });

  it('is asked for by a policy, shown by plan, and no lower layer takes it away', async () => {
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(join(home.paths.config, 'policy.yaml'), 'version: 1\nworkspace: { layout: [imports] }\n', { mode: 0o600 });
    const cwd = join(home.root, 'other');
    await mkdir(cwd);
    await writeFile(join(cwd, 'casemate.yaml'), 'version: 1\nworkspace: { layout: [exports] }\n');
    expect((await home.casemate(['plan'], { cwd })).out).toMatch(/^layout +imports \(read-only\) exports$/m);
    const run = await home.casemate(['run', '--', 'sh', '-c', 'touch exports/x; touch imports/x'], { cwd });
    expect(run.err + run.out).toContain('Read-only file system');
    expect(await readdir(join(cwd, 'exports'))).toEqual(['x']);
    expect((await caller.call('plan_session', { projectPath: cwd, agent: 'none', layout: ['shared'] }))['layout']).toEqual([
      'imports',
      'exports',
      'shared',
    ]);
    expect(await caller.refusal('create_session', { projectPath: cwd, layout: ['Imports'] })).toContain('-32602');
  });

  it('follows no link that lies in the place of a folder', async () => {
    const cwd = join(home.root, 'linked');
    await mkdir(cwd);
    const target = join(home.root, 'target');
    await symlink(target, join(cwd, 'exports'));
    expect(await caller.refusal('create_session', { projectPath: cwd, agent: 'none', layout: ['exports'] })).toContain(
      'exports is no folder',
    );
    await expect(lstat(target)).rejects.toThrow('ENOENT');
    await mkdir(target);
    expect(await caller.refusal('create_session', { projectPath: cwd, agent: 'none', layout: ['exports'] })).toContain(
      'exports is no folder',
    );
  });
});
