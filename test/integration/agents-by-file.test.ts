import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { readAgents } from '../../src/agents/described/read-agents.ts';
import { resolvePolicy } from '../../src/policy/layers/resolve-policy.ts';
import type { Facts } from '../../src/policy/facts.ts';
import { parsePolicy } from '../../src/policy/written/parse.ts';

/** Where descriptions of agents are read from, and whose they are. */

const uid = process.getuid?.() ?? 0;
const text = (name: string, more = ''): string =>
  `version: 1\nname: ${name}\ntitle: Mine\nimage: ./mine.recipe.yaml\nprogram: mine\npermissions: { skip: {} }\n${more}`;

let root: string;
let folders: { readonly organisation: string; readonly config: string };
const mine = (): string => join(root, 'config/agents/mine.yaml');

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-agents-'));
  folders = { organisation: join(root, 'etc/policy.yaml'), config: join(root, 'config') };
  for (const folder of ['etc/agents', 'config/agents']) {
    await mkdir(join(root, folder), { recursive: true, mode: 0o755 });
  }
  await write(mine(), text('mine'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function write(path: string, content: string): Promise<void> {
  await writeFile(path, content, { mode: 0o644 });
  await chmod(path, 0o644);
}

const refusal = async (): Promise<string> =>
  await readAgents(folders, uid).then(
    (agents) => `there are ${Object.keys(agents).join(', ')}`,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

test('the user has agents, each in a file of its name, with a recipe beside it', async () => {
  await write(join(root, 'config/agents/mine.recipe.yaml'), 'name: mine\nfrom: base\n');
  const agents = await readAgents(folders, uid);
  expect(Object.keys(agents)).toEqual(['claude', 'codex', 'mine']);
  expect(agents['mine']).toMatchObject({ recipe: join(root, 'config/agents/mine.recipe.yaml'), describedBy: 'user' });
  await write(join(root, 'config/agents/other.json'), JSON.stringify({ ...Object.fromEntries([]), version: 1 }));
  expect(await refusal()).toContain('other.json:1:1:');
});

test('a file that anybody else can change, a link and a pipe start nothing', async () => {
  await chmod(mine(), 0o646);
  expect(await refusal()).toContain('mine.yaml: the file can be changed by others');
  await chmod(mine(), 0o664);
  expect(await refusal()).toContain('the file can be changed by others');
  await chmod(mine(), 0o644);
  await chmod(join(root, 'config/agents'), 0o777);
  expect(await refusal()).toContain('the folder can be changed by others');
  await chmod(join(root, 'config/agents'), 0o755);
  await symlink(mine(), join(root, 'config/agents/other.yaml'));
  expect(await refusal()).toContain('other.yaml: the file is a symbolic link');
  await rm(join(root, 'config/agents/other.yaml'));
  execFileSync('mkfifo', [join(root, 'config/agents/pipe.yaml')]);
  expect(await refusal()).toContain('pipe.yaml: the file is not a regular file');
});

test.skipIf(uid !== 0)("a file of another user's is none of the user's", async () => {
  await chown(mine(), 12_345, 0);
  expect(await refusal()).toContain('mine.yaml: the file belongs to user 12345');
});

test("no name is taken twice: not a program's own, not the organisation's, and a file says its own", async () => {
  await write(join(root, 'config/agents/claude.yaml'), text('claude'));
  expect(await refusal()).toContain('there is an agent "claude" already: it is of this program');
  await rm(join(root, 'config/agents/claude.yaml'));
  await write(join(root, 'config/agents/other.yaml'), text('mine'));
  expect(await refusal()).toContain('other.yaml: it describes the agent "mine"');
});

test.skipIf(uid !== 0)("the organisation's policy means the organisation's descriptions alone", async () => {
  const facts = async (): Promise<Facts> => ({
    agents: await readAgents(folders, uid),
    registries: { npm: [], debian: [], pypi: [] },
    home: '/home/me',
    stored: [],
  });
  const layer = (kind: 'organisation' | 'user' | 'project', written: string) =>
    parsePolicy({ kind, source: `/x/${kind}.yaml`, folder: '/x', workspaceFolder: '/x', text: `version: 1\n${written}\n` });
  const known = await facts();
  for (const written of ['presets: [mine]', 'agent: mine']) {
    expect(() => resolvePolicy({ organisation: layer('organisation', written) }, known, { folder: '/x' })).toThrow(
      `the agent "mine" is described by a user's file alone`,
    );
    expect(() => resolvePolicy({ user: layer('user', written) }, known, { folder: '/x' })).not.toThrow();
  }
  await write(join(root, 'etc/agents/mine.yaml'), text('mine'));
  expect(await refusal()).toContain(`there is an agent "mine" already: it is described by ${join(root, 'etc/agents/mine.yaml')}`);
  await rm(mine());
  expect(() =>
    resolvePolicy({ organisation: layer('organisation', 'agent: mine') }, { ...known, agents: {} }, { folder: '/x' }),
  ).toThrow('there is no agent');
  const own = await facts();
  expect(() => resolvePolicy({ organisation: layer('organisation', 'agent: mine') }, own, { folder: '/x' })).not.toThrow();
});

test('what a file describes opens no further host to the key of a known API', async () => {
  await write(
    mine(),
    text('mine', 'credential: openai\nhosts: [{ host: api.openai.com, credential: true }, { host: a.example }]\n'),
  );
  const agents = await readAgents(folders, uid);
  const facts: Facts = { agents, registries: { npm: [], debian: [], pypi: [] }, home: '/home/me', stored: [] };
  const project = parsePolicy({
    kind: 'project',
    source: '/x/casemate.yaml',
    folder: '/x',
    workspaceFolder: '/x',
    text: 'version: 1\nagent: mine\nnetwork: [{ host: a.example, credential: openai }]\n',
  });
  expect(() => resolvePolicy({ project }, facts, { folder: '/x' })).toThrow(
    'a project file must not send the credential "openai" to a.example',
  );
});
