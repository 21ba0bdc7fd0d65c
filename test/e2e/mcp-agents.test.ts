import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import type { Script } from '../../src/tour/model-api/script.ts';
import { sayOnly } from '../helpers/say-only.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { handTo, startInternet, type Internet } from '../helpers/internet.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The real Claude Code and the real Codex, given tasks over MCP; the models are stand-ins on loopback. */

const keys = {
  claude: 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-agents',
  codex: 'sk-proj-REALrealREALrealREALrealREALrealREALrealREALreal-agents',
};

/** The least that is a server: it answers one client over standard input and output. */
const tinyServer = `
import { createInterface } from 'node:readline';
const tool = { name: 'greet', description: 'greets', inputSchema: { type: 'object', properties: {} } };
const results = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'tiny', version: '1' } }),
  'tools/list': () => ({ tools: [tool] }),
  'tools/call': () => ({ content: [{ type: 'text', text: process.env.GREETING + ' from uid ' + process.getuid() }] }),
};
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined) {
    const make = results[method];
    console.error(process.env.GREETING + ' was asked for ' + method);
    const answer = make ? { result: make(params) } : { error: { code: -32601, message: 'no such method' } };
    process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...answer }) + '\\n');
  }
}
`;

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['claude', 'codex'])))(
  'tasks for agents over MCP',
  { timeout: 240_000 },
  () => {
    let home: Home;
    let caller: McpCaller;
    let internet: Internet;
    const apis: ModelApi[] = [];
    let script: Script = sayOnly('All is well.');
    const sessions: Record<string, string> = {};

    beforeAll(async () => {
      home = await makeHome();
      for (const key of Object.values(keys)) {
        apis.push(await startModelApi({ expectedKey: key, script: (outcomes) => script(outcomes) }));
      }
      internet = await startInternet({
        'api.anthropic.com': handTo(apis[0]?.url ?? ''),
        'api.openai.com': handTo(apis[1]?.url ?? ''),
      });
      await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
      Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
      await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
      await writeFile(join(home.paths.config, 'policy.yaml'), 'version: 1\nagent: { permissions: skip }\n', { mode: 0o600 });
      caller = await startCaller(home);
      for (const [agent, apiKey] of Object.entries(keys)) {
        const projectPath = join(home.root, `project-${agent}`);
        await mkdir(projectPath);
        await writeFile(join(projectPath, 'greeting.txt'), 'hello\n');
        sessions[agent] = String((await caller.call('create_session', { projectPath, agent, apiKey }))['sessionId']);
      }
    }, 120_000);

    beforeEach(() => {
      script = sayOnly('All is well.');
    });

    afterAll(async () => {
      await caller.close();
      await home.remove();
      internet.close();
      await Promise.all(apis.map(async (api) => await api.close()));
    });

    const task = async (agent: string, more: object = {}, onprogress?: (message: string) => void) =>
      await caller.call(
        'execute_in_session',
        { sessionId: sessions[agent], prompt: 'mend the greeting', ...more },
        { onprogress: ({ message = '' }) => onprogress?.(message) },
      );

    const write =
      (command: string): Script =>
      (outcomes) =>
        outcomes.length === 0
          ? { say: 'I change it.', act: { kind: 'run', command, about: 'Change the greeting' } }
          : { say: outcomes[0]?.failed === true ? 'I was not let.' : 'It is changed.', act: undefined };

    it.each(['claude', 'codex'])('%s works, its steps are told, and what it did is said', async (agent) => {
      script = write('echo hi > greeting.txt; echo new > made.txt');
      const steps: string[] = [];
      const answer = await task(agent, {}, (message) => void steps.push(message));
      expect(answer).toMatchObject({
        agent,
        result: 'It is changed.',
        failed: false,
        exitCode: 0,
        timedOut: false,
        filesChanged: [
          { path: 'greeting.txt', change: 'changed' },
          { path: 'made.txt', change: 'added' },
        ],
        filesComplete: true,
      });
      expect((answer['usage'] as { outputTokens: number }).outputTokens).toBeGreaterThan(0);
      expect(steps.join('\n')).toContain('greeting.txt');
      expect(await readFile(join(home.root, `project-${agent}`, 'greeting.txt'), 'utf8')).toBe('hi\n');
      const again = await task(agent, { resume: answer['conversationId'] });
      // A resumed conversation has the first action behind it: nothing more is done.
      expect(again).toMatchObject({ result: 'It is changed.', failed: false, filesChanged: [] });
      const logs = await caller.call('get_session_logs', { sessionId: sessions[agent], tail: 2000 });
      expect(JSON.stringify(logs)).toContain('It is changed.');
    });

    it('Claude Code uses the tools it was given and no others, though the policy has it skip asking', async () => {
      script = write('echo taken > taken.txt');
      const answer = await task('claude', { tools: ['Read', 'Bash(ls:*)'] });
      expect(answer).toMatchObject({ result: 'I was not let.', filesChanged: [] });
      const other = await task('claude', { tools: ['Read', 'Bash'] });
      expect(other).toMatchObject({ result: 'It is changed.', filesChanged: [{ path: 'taken.txt', change: 'added' }] });
    });

    it('ends an agent whose time is over, and one whose caller cancels', async () => {
      script = write('tail -f greeting.txt');
      expect(await task('claude', { timeoutMs: 6000 })).toMatchObject({ timedOut: true, exitCode: 124, failed: true });
      const cancel = new AbortController();
      const steps: string[] = [];
      const asked = caller.call(
        'execute_in_session',
        { sessionId: sessions['claude'], prompt: 'wait' },
        { signal: cancel.signal, onprogress: ({ message = '' }) => void steps.push(message) },
      );
      const ended = expect(asked).rejects.toThrow();
      await expect.poll(() => steps.join('\n'), { timeout: 30_000 }).toContain('tail -f');
      cancel.abort('enough');
      await ended;
      await expect
        .poll(
          async () =>
            (await caller.call('execute_command', { sessionId: sessions['claude'], command: 'ps -e -o args=' }))['stdout'],
        )
        .not.toMatch(/tail -f|claude/);
    });

    it('says that an agent did not come to its end', async () => {
      expect(await task('claude', { model: 'no/such:model', maxBudgetUsd: 0.01 })).toMatchObject({ agent: 'claude' });
      for (const [more, refusal] of [
        [{ tools: ['Read'] }, 'UNSUPPORTED: tools cannot be honoured'],
        [{ maxBudgetUsd: 1 }, 'UNSUPPORTED: maxBudgetUsd cannot be honoured'],
      ] as const) {
        expect(await caller.refusal('execute_in_session', { sessionId: sessions['codex'], prompt: 'x', ...more })).toContain(
          refusal,
        );
      }
      for (const more of [
        { tools: ['--dangerously-skip-permissions'] },
        { tools: ['Read,Bash'] },
        { model: '--dangerously-skip-permissions' },
        { resume: '--continue' },
        { prompt: '' },
      ]) {
        expect(await caller.refusal('execute_in_session', { sessionId: sessions['claude'], prompt: 'x', ...more })).toContain(
          '-32602',
        );
      }
    });

    it('Claude Code has the servers of mcpConfig, which run inside', async () => {
      const projectPath = join(home.root, 'project-servers');
      await mkdir(projectPath);
      await writeFile(join(projectPath, 'server.mjs'), tinyServer);
      const servers = { tiny: { command: 'node', args: ['/workspace/server.mjs'], env: { GREETING: 'good day' } } };
      const made = { projectPath, agent: 'claude', apiKey: keys.claude, mcpConfig: { mcpServers: servers } };
      const sessionId = String((await caller.call('create_session', made))['sessionId']);
      const listed = await caller.call('execute_command', {
        sessionId,
        command: 'stat -c "%a %U" ~/.casemate/mcp.json; env | grep -c GREETING',
      });
      expect(listed['stdout']).toBe('400 agent\n0\n');
      script = (outcomes) =>
        outcomes.length === 0
          ? { say: 'I greet.', act: { kind: 'tool', name: 'mcp__tiny__greet', input: {} } }
          : { say: `It said: ${outcomes[0]?.text ?? ''}`, act: undefined };
      const answer = await caller.call('execute_in_session', {
        sessionId,
        prompt: 'greet',
        tools: ['mcp__tiny__greet', 'Bash(true)'],
      });
      expect(answer['result']).toContain('good day from uid 1000');
      for (const [refusal, server] of [
        ['mcpConfig.mcpServers.a.env.API_KEY: looks like a key', { command: 'x', env: { API_KEY: 'value' } }],
        [
          '-32602: create_session: mcpConfig.mcpServers.a',
          { command: 'x', args: ['--token=ghp_REALrealREALrealREALrealREALrealREAL'] },
        ],
        ['-32602: create_session: mcpConfig.mcpServers.a', { command: 'x', network_isolation: 'api.example.com' }],
        ['-32602: create_session: mcpConfig.mcpServers.a', { type: 'http', url: 'file:///etc/passwd' }],
        ['UNSUPPORTED: mcpConfig names the credential "nosuch"', { command: 'x', env: { TOKEN: { credential: 'nosuch' } } }],
      ] as const) {
        const text = await caller.refusal('create_session', {
          projectPath,
          agent: 'claude',
          mcpConfig: { mcpServers: { a: server } },
        });
        expect(text).toContain(refusal);
        expect(text).not.toContain('ghp_');
      }
      const streamed = { tiny: { type: 'sse', url: 'https://tiny.example.com/' } };
      const other = { projectPath, agent: 'codex', apiKey: keys.codex, mcpConfig: { mcpServers: streamed } };
      expect(await caller.refusal('create_session', other)).toContain('UNSUPPORTED: mcpConfig: Codex does not reach "tiny"');
    });

    it('Codex has them, too, and shakes hands with one that has a sandbox of its own', async () => {
      const projectPath = join(home.root, 'project-codex-servers');
      await mkdir(projectPath);
      await writeFile(join(projectPath, 'server.mjs'), tinyServer);
      const started = { command: 'node', args: ['/workspace/server.mjs'], env: { GREETING: 'good "day" \u007f' } };
      const servers = { beside: started, 'a-part': { ...started, env: { GREETING: 'the one apart' }, network_isolation: true } };
      const made = { projectPath, agent: 'codex', apiKey: keys.codex, mcpConfig: { mcpServers: servers } };
      const sessionId = String((await caller.call('create_session', made))['sessionId']);
      script = sayOnly('Both are there.');
      const answer = await caller.call('execute_in_session', { sessionId, prompt: 'look' });
      expect(answer['result'], JSON.stringify(answer)).toContain('Both are there.');
      const shown = await caller.call('execute_command', { sessionId, command: ['codex', 'mcp', 'list'] });
      expect(shown['stdout']).toMatch(/a-part[\s\S]*beside/);
      // What it asked for: the server says so on standard error.
      const lines = async (): Promise<readonly string[]> => {
        const { entries } = await caller.call('get_session_logs', { sessionId, tail: 200 });
        return (entries as readonly { readonly lines: readonly string[] }[]).flatMap((entry) => entry.lines);
      };
      for (const method of ['initialize', 'tools/list']) {
        await expect.poll(lines, { timeout: 30_000 }).toContain(`the one apart was asked for ${method}`);
      }
      await caller.call('destroy_session', { sessionId });
    });

    it('needs an agent', async () => {
      const projectPath = home.project;
      const { sessionId } = await caller.call('create_session', { projectPath, agent: 'none' });
      expect(await caller.refusal('execute_in_session', { sessionId, prompt: 'x' })).toContain(
        'USAGE: this session has no agent',
      );
    });
  },
);
