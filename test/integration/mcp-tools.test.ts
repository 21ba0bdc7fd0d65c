import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('what else callers have over MCP', () => {
  let home: Home;
  let caller: McpCaller;
  let sessionId = '';

  beforeAll(async () => {
    home = await makeHome();
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(
      join(home.paths.config, 'policy.yaml'),
      'version: 1\nnetwork: [{ host: docs.example.com, allow: [GET /**] }]\n',
    );
    caller = await startCaller(home);
    sessionId = String((await caller.call('create_session', { projectPath: home.project, agent: 'none' }))['sessionId']);
  });
  afterAll(async () => {
    await caller.close();
    await home.remove();
  });

  it('a plan of what would be made, and nothing of it', async () => {
    const plan = await caller.call('plan_session', { projectPath: home.project, agent: 'claude', dockerOpts: { Memory: '1g' } });
    expect(plan).toMatchObject({
      agent: 'claude',
      limits: { memoryBytes: 1024 ** 3, timeMs: 3_600_000, idleMs: 900_000 },
      network: expect.arrayContaining([{ host: 'docs.example.com', ports: [443], functions: ['GET /**'] }]),
    });
    expect(await caller.refusal('plan_session', { projectPath: '/etc' })).toContain('NOT_ALLOWED');
    expect(await caller.refusal('plan_session', { projectPath: home.project, apiKey: 'x' })).toContain(
      '-32602: plan_session: apiKey',
    );
    expect(((await caller.call('list_sessions'))['sessions'] as unknown[]).length).toBe(1);
  });

  it('a command over its time limit with an answer, whatever it left behind with its output open', async () => {
    const over = await caller.call('execute_command', { sessionId, command: 'setsid sleep 7779 & sleep 7780', timeoutMs: 1000 });
    expect(over).toMatchObject({ exitCode: 124, timedOut: true });
    expect((await caller.call('execute_command', { sessionId, command: 'ps -e -o args=' }))['stdout']).not.toMatch(/7779|7780/);
  });

  it('a reason for what may and may not be reached', async () => {
    const about = async (more: object) => await caller.call('explain_access', { sessionId, host: 'docs.example.com', ...more });
    expect(await about({ method: 'GET', path: '/x' })).toMatchObject({ verdict: 'allow', rule: { functions: ['GET /**'] } });
    expect(await about({ method: 'POST', path: '/x' })).toMatchObject({ verdict: 'deny', reason: 'function-not-allowed' });
    expect(await about({ port: 22 })).toMatchObject({ verdict: 'deny', reason: 'port-not-allowed' });
    expect(await about({ host: 'other.example.com' })).toMatchObject({ missing: '{ host: other.example.com }' });
    expect(await caller.refusal('explain_access', { sessionId, host: 'docs.example.com', method: 'GET' })).toContain('USAGE');
    expect(await caller.refusal('explain_access', { sessionId, host: 'no host' })).toContain('NAME_INVALID');
  });

  it('commands that go on, are waited for and are interrupted with all they started', async () => {
    const start = async (command: string) => String((await caller.call('start_command', { sessionId, command }))['executionId']);
    const first = await start('until test -e seen; do sleep 0.1; done; echo done');
    expect(await caller.call('wait_for_execution', { executionId: first, timeoutMs: 0 })).toEqual({ state: 'running' });
    await writeFile(join(home.project, 'seen'), '');
    expect(await caller.call('wait_for_execution', { executionId: first })).toMatchObject({
      state: 'ended',
      kind: 'command',
      result: { exitCode: 0, stdout: 'done\n', executionId: first },
    });
    const second = await start('setsid sleep 7777 & sleep 7778');
    await expect
      .poll(async () => (await caller.call('execute_command', { sessionId, command: 'ps -e -o args=' }))['stdout'])
      .toMatch(/7777[^]*7778/);
    await caller.call('interrupt_execution', { executionId: second });
    expect(await caller.call('wait_for_execution', { executionId: second })).toMatchObject({ state: 'failed' });
    await expect
      .poll(async () => (await caller.call('execute_command', { sessionId, command: 'ps -e -o args=' }))['stdout'])
      .not.toMatch(/sleep 777/);
    expect(await caller.refusal('wait_for_execution', { executionId: 'ex-0123456789abcdef' })).toContain('USAGE');
    expect(await caller.refusal('start_command', { sessionId: 'none', command: 'id' })).toContain('SANDBOX_NOT_FOUND');
    expect(await caller.refusal('start_task', { sessionId, prompt: 'x' })).toContain('USAGE: this session has no agent');
  });

  it('the journal of a session from where it was read to, and the next of it as it comes', async () => {
    const first = await caller.call('get_events', { sessionId, limit: 2 });
    expect(first).toMatchObject({ events: [{ action: 'sandbox.create' }, { action: 'sandbox.start' }], more: true });
    let after = Number(first['next']);
    for (let more = true; more;) {
      const page = await caller.call('get_events', { sessionId, after, limit: 500 });
      after = Number(page['next']);
      more = page['more'] === true;
    }
    const waiting = caller.call('get_events', { sessionId, after, waitMs: 30_000 });
    await caller.call('execute_command', { sessionId, command: 'curl -sS https://else.example.com' });
    const events = (await waiting)['events'] as { seq: number }[];
    expect(events.length).toBeGreaterThan(0);
    expect(events.every(({ seq }) => seq > after)).toBe(true);
    await expect
      .poll(async () => JSON.stringify((await caller.call('get_events', { sessionId, after }))['events']))
      .toContain('"subject":"else.example.com:443","decision":"deny","outcome":"host-not-allowed"');
  });

  it('resources and prompts', async () => {
    await caller.call('execute_command', {
      sessionId,
      command: "printf 'caf\\303\\251' > note.txt; printf '\\377' > raw; mkdir d",
    });
    const read = async (path: string) =>
      (await caller.client.readResource({ uri: `casemate://sessions/${sessionId}/${path}` })).contents[0];
    expect(await read('files/note.txt')).toMatchObject({ text: 'café' });
    expect(await read('files/raw')).toMatchObject({ blob: '/w==' });
    await expect(read('files/d')).rejects.toThrow('PATH_INVALID');
    for (const outside of ['..%2f..%2fetc%2fpasswd', 'd/../../etc/passwd', '%2fetc%2fpasswd', '/etc/passwd', '..']) {
      await expect(read(`files/${outside}`)).rejects.toThrow('does not lie in the workspace');
    }
    expect(await read('files/d/../note.txt')).toMatchObject({ text: 'café' });
    await expect(read('files/%00')).rejects.toThrow('USAGE');
    await expect(read('else')).rejects.toThrow('there is no resource');
    expect(JSON.stringify(await read('journal'))).toContain('sandbox.start');
    expect((await caller.client.listResourceTemplates()).resourceTemplates).toHaveLength(2);
    const { prompts } = await caller.client.listPrompts();
    for (const { name, arguments: given = [] } of prompts) {
      const values = Object.fromEntries(given.map((one) => [one.name, `the ${one.name}`]));
      const { messages } = await caller.client.getPrompt({ name, arguments: values });
      expect(JSON.stringify(messages)).toContain('the ');
    }
    await expect(caller.client.getPrompt({ name: 'work_in_sandbox', arguments: {} })).rejects.toThrow('projectPath: is missing');
  });
});
