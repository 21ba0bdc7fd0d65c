import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { agents } from '../../src/agents/agents.ts';
import { copyHome, planHome } from '../../src/agents/home.ts';
import { levels, type Level } from '../../src/policy/policy.ts';
import { run } from '../../src/system/process.ts';

/** Of the user's own agent configuration only what the level allows gets into a sandbox: no token, transcript, secret or foreign file. */

const canary = 'canary-of-the-host';
let root: string;
let home: string;

async function put(path: string, content: string, mode = 0o644): Promise<void> {
  const full = join(home, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, content);
  await chmod(full, mode);
}

async function copied(level: Level, source: { userHome: string; serviceHome?: string } = { userHome: home }) {
  const plan = await planHome(agents.claude, level, source);
  const target = await mkdtemp(join(root, 'target-'));
  await copyHome(plan, target);
  const files = (await readdir(target, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(target.length + 1)).toSorted();
  const texts = await Promise.all(paths.map((path) => readFile(join(target, path), 'utf8')));
  return { plan, target, paths, all: texts.join('\n') };
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-home-'));
  home = join(root, 'user');
  await mkdir(home);
  await writeFile(join(root, 'outside.md'), canary);
  await put('.claude.json', JSON.stringify({ oauthAccount: canary, mcpServers: { x: { env: { TOKEN: canary } } } }));
  await put('.claude/.credentials.json', canary, 0o600);
  await put('.claude/history.jsonl', canary);
  await put('.claude/projects/other/session.jsonl', canary);
  await put('.claude/todos/1.json', canary);
  await put('.claude/shell-snapshots/1.sh', canary);
  await put('.claude/statsig/x', canary);
  await put('.claude/settings.json', JSON.stringify({ model: 'opus', apiKeyHelper: canary, env: { MY_TOKEN: canary } }));
  await put('.claude/settings.local.json', JSON.stringify({ model: canary }));
  await put('.claude/CLAUDE.md', 'Be brief.');
  await put('.claude/commands/review.md', 'Review this.');
  await put('.claude/commands/deploy.md', `Use ghp_${'0123456789'.repeat(4)} ${canary}`);
  await put('.claude/commands/.env', canary);
  await put('.claude/agents/tester.md', 'You test.');
  await put('.claude/skills/pdf/SKILL.md', 'Make a PDF.');
  await put('.claude/skills/pdf/make.sh', '#!/bin/sh\necho hi\n', 0o755);
  await put('.claude/skills/big.bin', 'x'.repeat(600 * 1024));
  await symlink(join(root, 'outside.md'), join(home, '.claude/commands/link.md'));
  await symlink(root, join(home, '.claude/skills/link'));
  await run('mkfifo', [join(home, '.claude/commands/pipe')], { env: { PATH: '/usr/bin:/bin' } });
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

test.each(levels)('at level %s nothing secret and nothing from outside the listed folders is copied', async (level) => {
  const { all, plan } = await copied(level, { userHome: home, serviceHome: home });
  expect(all).not.toContain(canary);
  expect(JSON.stringify(plan.leftOut)).not.toContain(canary);
});

test('personal gets commands, agents, skills, memory and settings', async () => {
  const { paths } = await copied('personal');
  expect(paths).toEqual([
    '.claude/CLAUDE.md',
    '.claude/agents/tester.md',
    '.claude/commands/review.md',
    '.claude/settings.json',
    '.claude/skills/pdf/SKILL.md',
    '.claude/skills/pdf/make.sh',
  ]);
});

test('team gets commands and settings', async () => {
  expect((await copied('team')).paths).toEqual(['.claude/commands/review.md', '.claude/settings.json']);
});

test("service gets the service account's and never the user's own", async () => {
  expect((await copied('service')).paths).toEqual([]);
  const service = join(root, 'service');
  await mkdir(join(service, '.claude/commands'), { recursive: true });
  await writeFile(join(service, '.claude/commands/nightly.md'), 'Run at night.');
  expect((await copied('service', { userHome: home, serviceHome: service })).paths).toEqual(['.claude/commands/nightly.md']);
});

test('maximum gets nothing', async () => {
  expect((await copied('maximum')).paths).toEqual([]);
});

test('a home without any configuration gives nothing', async () => {
  expect((await copied('personal', { userHome: join(root, 'nobody') })).paths).toEqual([]);
});

test('what stays out is named with its reason', async () => {
  const { plan } = await copied('personal');
  const reasons = Object.fromEntries(plan.leftOut.map(({ path, why }) => [path, why]));
  expect(reasons).toEqual({
    '.claude/settings.json: apiKeyHelper': 'starts a program of the host to get a key',
    '.claude/settings.json: env.MY_TOKEN': 'looks like a secret',
    '.claude/commands/.env': 'its name is one of a file with secrets',
    '.claude/commands/deploy.md': 'it holds what looks like a GitHub token',
    '.claude/commands/link.md': 'a symbolic link',
    '.claude/commands/pipe': 'neither a file nor a folder',
    '.claude/skills/big.bin': 'longer than 524288 bytes',
    '.claude/skills/link': 'a symbolic link',
  });
});

test('the copy is private, and a script stays one that its owner can start', async () => {
  const { target } = await copied('personal');
  const modeOf = async (path: string): Promise<number> => (await stat(join(target, path))).mode & 0o777;
  expect(await modeOf('.claude/CLAUDE.md')).toBe(0o600);
  expect(await modeOf('.claude/skills/pdf/make.sh')).toBe(0o700);
  expect(await modeOf('.claude/skills')).toBe(0o700);
});

test('a linked .claude is not followed', async () => {
  const linked = join(root, 'linked');
  await mkdir(linked);
  await symlink(join(home, '.claude'), join(linked, '.claude'));
  const { paths, plan } = await copied('team', { userHome: linked });
  expect(paths).toEqual([]);
  expect(plan.leftOut).toContainEqual({ path: '.claude', why: 'a symbolic link' });
});
