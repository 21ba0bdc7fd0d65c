import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { imageStore } from '../../src/images/stored/store.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import type { Script } from '../../src/tour/model-api/script.ts';
import { sayOnly } from '../helpers/say-only.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { handTo, startInternet, type Internet } from '../helpers/internet.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The real OpenCode, which only the files of `docs/agents` describe; its model is a stand-in on loopback. */

const key = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-by-file';
const described = join(import.meta.dirname, '../../docs/agents');

const lacks = await wholeWayLacks(['base']);
const isBuilt = await isThere();
if (lacks === undefined && !isBuilt) {
  process.stderr.write('skipped: OpenCode is not built (casemate image build docs/agents/opencode.recipe.yaml)\n');
}

async function isThere(): Promise<boolean> {
  const home = await makeHome();
  try {
    return (await imageStore({ folder: home.paths.images }).find(join(described, 'opencode.recipe.yaml'))) !== undefined;
  } finally {
    await home.remove();
  }
}

describe.skipIf(!engineOrSkip('oci', lacks) || !isBuilt)('an agent that a file describes', { timeout: 120_000 }, () => {
  let home: Home;
  let caller: McpCaller;
  let internet: Internet;
  let api: ModelApi;
  let script: Script;
  let sessionId: string;

  beforeAll(async () => {
    home = await makeHome();
    api = await startModelApi({ expectedKey: key, script: (outcomes) => script(outcomes) });
    internet = await startInternet({ 'api.anthropic.com': handTo(api.url) });
    await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
    Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
    await mkdir(join(home.paths.config, 'agents'), { recursive: true, mode: 0o700 });
    for (const name of ['opencode.yaml', 'opencode.recipe.yaml']) {
      await copyFile(join(described, name), join(home.paths.config, 'agents', name));
    }
    await writeFile(join(home.paths.config, 'policy.yaml'), 'version: 1\nagent: { permissions: skip }\n', { mode: 0o600 });
    await writeFile(join(home.project, 'greeting.txt'), 'hello\n');
    caller = await startCaller(home);
    const made = await caller.call('create_session', { projectPath: home.project, agent: 'opencode', apiKey: key });
    sessionId = String(made['sessionId']);
  }, 120_000);

  beforeEach(() => {
    script = sayOnly('All is well.');
  });

  afterAll(async () => {
    await caller.close();
    await home.remove();
    internet.close();
    await api.close();
  });

  const change: Script = (outcomes) =>
    outcomes.length === 0
      ? {
          say: 'I change it.',
          act: { kind: 'tool', name: 'bash', input: { command: 'echo hi > greeting.txt', description: 'Change the greeting' } },
        }
      : { say: outcomes[0]?.failed === true ? 'I was not let.' : 'It is changed.', act: undefined };

  it('works on a task, its steps are told, it is resumed, and its key stays outside', async () => {
    script = change;
    const steps: string[] = [];
    const answer = await caller.call(
      'execute_in_session',
      { sessionId, prompt: 'mend the greeting' },
      { onprogress: ({ message = '' }) => void steps.push(message) },
    );
    expect(answer).toMatchObject({
      agent: 'opencode',
      result: 'It is changed.',
      failed: false,
      exitCode: 0,
      filesChanged: [{ path: 'greeting.txt', change: 'changed' }],
    });
    expect((answer['usage'] as { inputTokens: number }).inputTokens).toBeGreaterThan(20);
    expect(steps.join('\n')).toContain('> bash');
    expect(await readFile(join(home.project, 'greeting.txt'), 'utf8')).toBe('hi\n');
    // What the file says by now is for later sessions: this one is as it was made.
    await rm(join(home.paths.config, 'agents', 'opencode.yaml'));
    const again = await caller.call('execute_in_session', { sessionId, prompt: 'go on', resume: answer['conversationId'] });
    expect(again).toMatchObject({ result: 'It is changed.', failed: false, filesChanged: [] });
    const inside = await caller.call('execute_command', { sessionId, command: 'env; cat ~/.config/opencode/opencode.json' });
    expect(String(inside['stdout'])).toMatch(/ANTHROPIC_API_KEY=sk-ant-api03-cmph_[\s\S]*enabled_providers/);
    expect(String(inside['stdout'])).not.toContain(key);
    await copyFile(join(described, 'opencode.yaml'), join(home.paths.config, 'agents', 'opencode.yaml'));
  });

  it('is told to ask where the policy says so, and nobody there lets it', async () => {
    script = change;
    const projectPath = join(home.root, 'asking');
    await mkdir(projectPath);
    await writeFile(join(projectPath, 'casemate.yaml'), 'version: 1\nagent: { permissions: ask }\n');
    const made = await caller.call('create_session', { projectPath, agent: 'opencode', apiKey: key });
    const answer = await caller.call('execute_in_session', { sessionId: made['sessionId'], prompt: 'mend the greeting' });
    expect(answer['filesChanged']).toEqual([]);
    expect(answer['result']).not.toBe('It is changed.');
  });

  it('is refused what its description has no way to say, and a name that nothing describes', async () => {
    expect(await caller.refusal('execute_in_session', { sessionId, prompt: 'x', tools: ['Read'] })).toContain(
      'UNSUPPORTED: tools cannot be honoured: OpenCode has no such option',
    );
    expect(await caller.refusal('create_session', { projectPath: home.project, agent: 'opencod' })).toContain(
      'there is no agent "opencod"',
    );
    // A project describes none: what lies in its folder is no description.
    await mkdir(join(home.project, 'agents'), { recursive: true });
    const text = await readFile(join(described, 'opencode.yaml'), 'utf8');
    await writeFile(join(home.project, 'agents', 'mine.yaml'), text.replace('name: opencode', 'name: mine'));
    expect(await caller.refusal('create_session', { projectPath: home.project, agent: 'mine' })).toContain(
      'there is no agent "mine"',
    );
  });

  it('runs from the command line, from the image of its own recipe', async () => {
    const env = { ANTHROPIC_API_KEY: key };
    const version = await home.casemate(['run', '--agent', 'opencode', '--', 'opencode', '--version'], { env });
    expect(version).toMatchObject({ code: 0, out: '1.18.33\n' });
    const listed = await home.casemate(['agent', 'ls']);
    expect(listed.out).toMatch(/opencode +OpenCode +\S+opencode\.recipe\.yaml +anthropic +user: /);
  });
});
