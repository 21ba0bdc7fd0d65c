import { mkdir, mkdtemp, rm, symlink, truncate, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { run } from '../../src/system/process.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { projectGrants } from '../../src/policy/layers/project-grants.ts';
import { readFacts } from '../../src/sandbox/host/facts.ts';
import { loadPolicy, type PolicyRequest } from '../../src/sandbox/policy-files/load-policy.ts';

/** Threat: a file that comes with the code, or a broken one, gives a sandbox more than its owner allowed. */

let root: string;
let project: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-policy-'));
  project = join(root, 'work', 'project');
  await mkdir(join(project, 'deep', 'er'), { recursive: true });
  await mkdir(join(root, 'config'));
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const write = (place: string, text: string): Promise<void> => writeFile(join(root, place), text, { mode: 0o644 });

async function load(more: Partial<PolicyRequest> = {}) {
  return loadPolicy({
    paths: { organisation: join(root, 'organisation.yaml'), config: join(root, 'config') },
    cwd: project,
    facts: (registries) => readFacts({ agents: {}, env: environmentOf({}), home: root, registries }),
    ...more,
  });
}

describe('layers as files', () => {
  test('a project that asks for more than the user allows is refused, and the error names both files with lines', async () => {
    await write('config/policy.yaml', 'version: 1\nnetwork:\n  - host: a.example\n');
    await write('work/project/casemate.yaml', 'version: 1\nnetwork:\n  - host: a.example\n  - host: b.example\n');
    await expect(load()).rejects.toMatchObject({
      code: 'POLICY_WIDENS',
      message: `${project}/casemate.yaml:4:5: b.example:443, which is not what ${root}/config/policy.yaml:3:3 allows`,
    });
  });

  test('a project cannot grant itself anything in silence', async () => {
    await write('work/project/casemate.yaml', 'version: 1\nagent: { permissions: skip }\nnetwork: [{ host: a.example }]\n');
    const { policy, files } = await load();
    expect(projectGrants(policy)).toEqual(['lets the agent act without asking', 'reaches a.example on port 443']);
    expect(files).toMatchObject([
      { layer: 'project', path: join(project, 'casemate.yaml'), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });

  test('a file that was taken back, or stands for another folder, is read as it is now', async () => {
    const wide = 'version: 1\nnetwork: [{ host: a.example }, { host: b.example }]\n';
    const narrow = 'version: 1\nnetwork: [{ host: a.example }]\n';
    const hosts = async () => (await load()).policy.network.map(({ host }) => 'host' in host && host.host);
    for (const [text, found] of [
      [wide, ['a.example', 'b.example']],
      [narrow, ['a.example']],
      [wide, ['a.example', 'b.example']],
    ] as const) {
      await write('config/policy.yaml', text);
      expect(await hosts()).toEqual(found);
    }
    await expect(load({ cwd: root })).resolves.toMatchObject({ policy: { workspace: { path: root } } });
    await expect(load()).resolves.toMatchObject({ policy: { workspace: { path: project } } });
  });

  test('the person at the terminal cannot go past the organisation', async () => {
    await write('organisation.yaml', 'version: 1\nagent: { permissions: ask }\nwaive: []\n');
    await expect(load({ commandLine: { permissions: 'skip' } })).rejects.toMatchObject({ code: 'POLICY_WIDENS' });
    await expect(load({ commandLine: { waive: ['seccomp'] } })).rejects.toMatchObject({ code: 'POLICY_WIDENS' });
  });
});

describe('a policy file that cannot be trusted stops everything', () => {
  test.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "an organisation's file that is half written",
      () => write('organisation.yaml', 'version: 1\nnetwork: ['),
      /organisation\.yaml:2:\d+: not readable as YAML/,
    ],
    ['an empty one', () => write('organisation.yaml', ''), /organisation\.yaml:1:1: the file is empty/],
    ['one that anybody can change', async () => chmodded('organisation.yaml', 0o666), /can be changed by anybody/],
    ['a folder in its place', () => mkdir(join(root, 'organisation.yaml')), /is not a regular file/],
    ['a link that leads nowhere', () => symlink('/nowhere/at/all', join(root, 'organisation.yaml')), /cannot be read/],
    ['a loop of links', () => symlink('organisation.yaml', join(root, 'organisation.yaml')), /cannot be read/],
    [
      "a project's file that is a link",
      () => symlink('/etc/passwd', join(project, 'casemate.yaml')),
      /casemate\.yaml: the file is a symbolic link/,
    ],
    [
      "a project's file that is a pipe",
      () => run('mkfifo', [join(project, 'casemate.yaml')], { env: { PATH: '/usr/bin:/bin' } }),
      /is not a regular file/,
    ],
    ["a project's file without end", async () => grown(join(project, 'casemate.yaml')), /is larger than 256 KiB/],
    [
      "a project's file that is not text",
      () => writeFile(join(project, 'casemate.yaml'), Buffer.from([0x76, 0xff, 0xfe])),
      /is not UTF-8 text/,
    ],
  ])('%s', async (_, prepare, words) => {
    await prepare();
    await expect(load()).rejects.toMatchObject({ code: 'POLICY_INVALID', message: expect.stringMatching(words) });
  });

  test("an organisation's folder that cannot be looked into", async () => {
    await symlink('loop', join(root, 'loop'));
    const paths = { organisation: join(root, 'loop', 'policy.yaml'), config: join(root, 'config') };
    await expect(load({ paths })).rejects.toMatchObject({ code: 'POLICY_INVALID', message: expect.stringContaining('ELOOP') });
  });

  test.each(['workspace: { path: link }', 'workspace: { path: link/inner }', 'image: link/recipe.yaml'])(
    'a project that leaves its folder by a link: %s',
    async (text) => {
      await mkdir(join(root, 'outside', 'inner'), { recursive: true });
      await write('outside/recipe.yaml', 'name: x\n');
      await symlink(join(root, 'outside'), join(project, 'link'));
      await write('work/project/casemate.yaml', `version: 1\n${text}\n`);
      await expect(load()).rejects.toMatchObject({
        code: 'POLICY_INVALID',
        message: expect.stringMatching(/casemate\.yaml:2:\d+: .*links outside/),
      });
    },
  );

  test('an explicit file that is not there', async () => {
    await expect(load({ explicitFile: join(root, 'none.yaml') })).rejects.toMatchObject({ code: 'POLICY_INVALID' });
  });

  async function chmodded(name: string, mode: number): Promise<void> {
    await write(name, 'version: 1\n');
    await chmod(join(root, name), mode);
  }

  async function grown(path: string): Promise<void> {
    await writeFile(path, 'version: 1\n');
    await truncate(path, 10 * 1024 ** 3);
  }
});

describe('where a project policy is looked for', () => {
  const file = 'version: 1\nlevel: maximum\n';

  test('in the folder, and above it up to the repository', async () => {
    await write('work/project/casemate.yaml', file);
    await mkdir(join(project, '.git'));
    const { policy } = await load({ cwd: join(project, 'deep', 'er') });
    expect(policy).toMatchObject({ level: 'maximum', workspace: { path: project } });
  });

  test('not above the repository', async () => {
    await write('work/casemate.yaml', file);
    await mkdir(join(project, '.git'));
    expect((await load({ cwd: join(project, 'deep') })).policy.level).toBe('personal');
  });

  test('not above a folder that is in no repository', async () => {
    await write('work/project/casemate.yaml', file);
    expect((await load({ cwd: join(project, 'deep') })).policy.level).toBe('personal');
  });
});
