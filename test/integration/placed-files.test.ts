import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { parseSandboxName, newSandboxId } from '../../src/base/ids.ts';
import { parseAgent } from '../../src/agents/described/parse-agent.ts';
import { bindPlanCredentials } from '../../src/sandbox/credentials/bind-credentials.ts';
import { prepareFolder, sandboxFolder } from '../../src/sandbox/host-files/folder.ts';
import type { Plan } from '../../src/sandbox/plan/plan.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { samplePlan, sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

/** Files of a sandbox's home that hold phantoms, written once, before anything runs. */

const policy = `network:
  - { host: github.com, credential: github }
  - { host: npm.example.com, credential: npm, ports: [443, 8443] }
`;
const callerEnv = environmentOf({ GH_TOKEN: 'ghp_real-one', NPM_TOKEN: 'npm_real-two' });

let lab: Lab;
beforeEach(async () => {
  lab = await sandboxLab();
});
afterEach(async () => {
  await lab.remove();
});

async function fill(plan: Plan, context = lab.context): Promise<string> {
  const id = newSandboxId();
  const credentials = await bindPlanCredentials(context, { plan, sandboxId: id, callerEnv });
  await prepareFolder(context, { row: { id, name: parseSandboxName('work') }, plan, credentials });
  return join(sandboxFolder(context.paths, id), 'home');
}

test('each tool finds a phantom at the hosts that the rules bind, for nobody else to read', async () => {
  const home = await fill(samplePlan(policy));
  const npmrc = await readFile(join(home, '.npmrc'), 'utf8');
  expect(npmrc).toMatch(
    /^\/\/npm\.example\.com\/:_authToken=npm_cmph\w{32}\n\/\/npm\.example\.com:8443\/:_authToken=npm_cmph\w{32}\n$/,
  );
  expect(await readFile(join(home, '.git-credentials'), 'utf8')).toMatch(
    /^https:\/\/x-access-token:ghp_cmph\w{32}@github\.com\n$/,
  );
  for (const path of ['.npmrc', '.gitconfig', '.git-credentials', '.config/gh/hosts.yml']) {
    expect((await stat(join(home, path))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(home, path), 'utf8')).not.toContain('real');
  }
});

test('servers of an agent find stand-ins of the credentials that they name, for nobody else to read', async () => {
  const mcpServers = {
    tracker: { command: 'node', env: { TOKEN: { credential: 'github' }, PLAIN: 'x' } },
    docs: { type: 'http', url: 'https://npm.example.com', headers: { Authorization: { credential: 'npm', prefix: 'Bearer ' } } },
  } as const;
  const home = await fill({ ...samplePlan(policy), mcpServers });
  const text = await readFile(join(home, '.casemate/mcp.json'), 'utf8');
  expect(JSON.parse(text)).toMatchObject({
    mcpServers: {
      tracker: { env: { TOKEN: expect.stringMatching(/^ghp_cmph\w{32}$/), PLAIN: 'x' } },
      docs: { headers: { Authorization: expect.stringMatching(/^Bearer npm_cmph\w{32}$/) } },
    },
  });
  expect(text).not.toContain('real');
  expect((await stat(join(home, '.casemate/mcp.json'))).mode & 0o777).toBe(0o400);
  const unknown = { tracker: { command: 'node', env: { TOKEN: { credential: 'aws' } } } };
  await expect(fill({ ...samplePlan(policy), mcpServers: unknown })).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
});

test('two sandboxes have phantoms of their own', async () => {
  const [one, other] = await Promise.all([fill(samplePlan(policy)), fill(samplePlan(policy))]);
  expect(await readFile(join(one, '.npmrc'), 'utf8')).not.toBe(await readFile(join(other, '.npmrc'), 'utf8'));
});

test('a file that the agent brings is not written over', async () => {
  const written = parseAgent({
    source: 'x',
    text: 'version: 1\nname: own\ntitle: Own\nimage: base\nprogram: own\npermissions: { ask: {} }\nfiles: [{ path: .gitconfig, content: "[user]" }]\n',
  });
  const description = { written, describedBy: 'user', path: '/x/own.yaml', sha256: '' } as const;
  const planned = { name: 'own', permissions: 'ask', telemetry: false, command: ['own'], description } as const;
  const plan: Plan = { ...samplePlan(policy), agent: planned };
  await expect(fill(plan)).rejects.toMatchObject({
    code: 'POLICY_INVALID',
    message: expect.stringContaining('~/.gitconfig') as string,
  });
});
