import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { run } from '../../src/system/process.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startInternet, type Internet } from '../helpers/internet.ts';
import { startCaller, textOf, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const key = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-mcp01';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['base', 'claude'])))('sandboxes over MCP', () => {
  let home: Home;
  let caller: McpCaller;
  let internet: Internet;
  const seen: IncomingHttpHeaders[] = [];

  beforeAll(async () => {
    home = await makeHome();
    internet = await startInternet({
      'api.anthropic.com': (request, response) => {
        seen.push(request.headers);
        response.end('{}');
      },
    });
    await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
    Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
    caller = await startCaller(home);
  });
  afterAll(async () => {
    await caller.close();
    internet.close();
    await home.remove();
  });

  afterEach(async () => {
    const { sessions } = (await caller.call('list_sessions')) as { sessions: { sessionId: string }[] };
    await Promise.all(sessions.map(async ({ sessionId }) => await caller.call('destroy_session', { sessionId })));
  });

  const make = async (more: object = {}): Promise<string> =>
    String((await caller.call('create_session', { projectPath: home.project, agent: 'none', ...more }))['sessionId']);
  const shell = async (sessionId: string, command: string) => await caller.call('execute_command', { sessionId, command });

  it('lists its tools with strict schemas for arguments and results', async () => {
    const { tools } = await caller.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['create_session', 'execute_command', 'get_session_logs', 'list_sessions', 'destroy_session']),
    );
    for (const { inputSchema, outputSchema } of tools) {
      expect([inputSchema['additionalProperties'], outputSchema?.['additionalProperties']]).toEqual([false, false]);
    }
    expect(await caller.refusal('no_such_tool')).toContain('-32602: there is no tool "no_such_tool"');
  });

  it('makes a session with limits that are read back, runs commands, shows what they printed, and ends it once', async () => {
    const made = await caller.call('create_session', {
      projectPath: home.project,
      sessionName: 'My Work',
      agent: 'none',
      dockerOpts: {
        SecurityOpt: ['no-new-privileges'],
        CapDrop: ['ALL'],
        ReadonlyRootfs: true,
        Memory: '2g',
        CpuQuota: 50_000,
      },
    });
    expect(made).toMatchObject({
      sessionName: 'my-work',
      state: 'running',
      limits: { memoryBytes: 2 * 1024 ** 3, cpus: 0.5 },
      readBack: {
        rows: [
          { what: 'memory of the group', seen: String(2 * 1024 ** 3), ok: true },
          { what: 'processors of the group', seen: '0.50', ok: true },
        ],
      },
    });
    const { sessionId } = made;
    const command = 'printf "\\033[31mred\\n"; echo worse >&2; echo made > made; exit 3';
    const answer = await caller.raw('execute_command', { sessionId, command });
    expect(answer.structuredContent).toMatchObject({
      exitCode: 3,
      stdout: '\u001b[31mred\n',
      stderr: 'worse\n',
      timedOut: false,
    });
    expect(textOf(answer)).toBe('\\x1b[31mred\n\n[standard error]\nworse\n\n[exit code 3]');
    expect(await readFile(join(home.project, 'made'), 'utf8')).toBe('made\n');
    expect(await caller.call('execute_command', { sessionId, command: ['printf', '%s', '$(id)'] })).toMatchObject({
      stdout: '$(id)',
    });
    expect(await caller.call('execute_command', { sessionId, command: ['cat'], input: 'given' })).toMatchObject({
      stdout: 'given',
    });
    expect(await caller.call('execute_command', { sessionId, command: 'sleep 60', timeoutMs: 400 })).toMatchObject({
      exitCode: 124,
      timedOut: true,
    });
    const logs = await caller.call('get_session_logs', { sessionId, tail: 2 });
    expect(logs).toMatchObject({ entries: [{ lines: ['$(id)'] }, { lines: ['given'] }], truncated: true });
    expect(await caller.call('list_sessions')).toMatchObject({ sessions: [{ sessionId, sessionName: 'my-work' }] });
    expect(await caller.call('destroy_session', { sessionId })).toMatchObject({ alreadyGone: false });
    expect(await caller.call('destroy_session', { sessionId })).toMatchObject({ alreadyGone: true });
    expect(await caller.call('list_sessions')).toEqual({ sessions: [] });
    const journal = await home.casemate(['journal', 'query', '--json']);
    expect(journal.out).toContain('"actor":"caller:mcp"');
  });

  it('answers in pages', async () => {
    const ids = [await make(), await make(), await make()];
    const pages = [];
    let cursor: string | undefined;
    do {
      const page = await caller.call('list_sessions', { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      pages.push((page['sessions'] as { sessionId: string }[]).map(({ sessionId }) => sessionId));
      cursor = page['nextCursor'] as string | undefined;
    } while (cursor !== undefined);
    expect(pages.map(({ length }) => length)).toEqual([2, 1]);
    expect(pages.flat().toSorted()).toEqual(ids.toSorted());
  });

  it('keeps long output within bounds, its beginning and its end', async () => {
    const sessionId = await make();
    const answer = await caller.call('execute_command', { sessionId, command: 'seq 1 100000', maxOutputBytes: 1024 });
    const text = String(answer['stdout']);
    expect(text.startsWith('1\n2\n')).toBe(true);
    expect(text.endsWith('99999\n100000\n')).toBe(true);
    expect(text.length).toBeLessThan(1200);
    expect(answer['omittedBytes']).toBe(588_895 - 1024);
  });

  it('says how it goes on, and ends a command whose caller cancels it', async () => {
    const sessionId = await make();
    const messages: string[] = [];
    const cancel = new AbortController();
    const asked = caller.call(
      'execute_command',
      { sessionId, command: 'while :; do echo working; sleep 0.2; done' },
      { signal: cancel.signal, onprogress: ({ message = '' }) => void messages.push(message) },
    );
    const ended = expect(asked).rejects.toThrow();
    await expect.poll(() => messages).toContain('working');
    cancel.abort('no longer needed');
    await ended;
    await expect.poll(async () => (await shell(sessionId, 'ps -e -o args= | grep -c "[e]cho working"'))['stdout']).toBe('0\n');
  });

  it('finds its sessions again when the server and the daemon were killed', async () => {
    const sessionId = await make();
    await shell(sessionId, 'echo kept > ~/kept');
    const { out } = await home.casemate(['daemon', 'status', '--json']);
    process.kill(JSON.parse(out).daemon.pid, 'SIGKILL');
    process.kill(caller.pid() ?? 0, 'SIGKILL');
    caller = await startCaller(home);
    expect(await shell(sessionId, 'cat ~/kept')).toMatchObject({ stdout: 'kept\n' });
    // What fell idle or was stopped with the host goes on with the next command.
    await home.casemate(['stop', sessionId]);
    expect(await shell(sessionId, 'cat ~/kept')).toMatchObject({ stdout: 'kept\n', exitCode: 0 });
  });

  it('gives a key of the call to the gateway and to nobody else', async () => {
    const made = await caller.call('create_session', { projectPath: home.project, agent: 'claude', apiKey: key });
    const { sessionId } = made;
    const command =
      'echo "$ANTHROPIC_API_KEY"; curl -sS -H "x-api-key: $ANTHROPIC_API_KEY" https://api.anthropic.com/v1/models; env';
    const answer = await caller.call('execute_command', { sessionId, command });
    expect(answer).toMatchObject({ exitCode: 0 });
    expect(String(answer['stdout'])).toMatch(/^sk-ant-/);
    expect(seen.at(-1)?.['x-api-key']).toBe(key);
    const search = async (args: readonly string[]): Promise<string> =>
      (
        await run('grep', ['-rlaF', '-D', 'skip', '--exclude=*.ext4', key, ...args], { env: { PATH: '/usr/bin:/bin' } })
      ).stdout.toString('utf8');
    expect(JSON.stringify([made, answer])).not.toContain(key);
    expect(await search([home.root])).toBe('');
    const processes = await run('sh', ['-c', 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"'], {
      env: { PATH: '/usr/bin:/bin' },
    });
    expect(processes.stdout.includes(key)).toBe(false);
    // It outlives the daemon, and goes with the session.
    const status = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
    process.kill(status.daemon.pid, 'SIGKILL');
    expect(await caller.call('execute_command', { sessionId, command })).toMatchObject({ exitCode: 0 });
    expect(seen.at(-1)?.['x-api-key']).toBe(key);
    const sealed = join(home.paths.state, 'credentials.sealed');
    expect(await readFile(sealed, 'utf8')).toContain(String(sessionId));
    await caller.call('destroy_session', { sessionId });
    expect(await readFile(sealed, 'utf8')).not.toContain(String(sessionId));
  });

  it.each<[string, object]>([
    ['USAGE: awsAccessKeyId is given without useBedrock', { awsAccessKeyId: 'AKIAABCDEFGHIJKLMNOP' }],
    ['USAGE: awsRegion is given without useBedrock', { awsRegion: 'eu-west-1' }],
    ['USAGE: awsRegion is given without useBedrock', { awsRegion: 'eu-west-1', apiKey: 'sk-ant-api03-REAL' }],
    ['USAGE: useBedrock needs awsRegion', { agent: 'claude', useBedrock: true }],
    ['USAGE: useBedrock is for the agent claude', { agent: 'codex', useBedrock: true, awsRegion: 'eu-west-1' }],
    ['USAGE: apiKey and useBedrock are both given', { agent: 'claude', useBedrock: true, awsRegion: 'eu-west-1', apiKey: key }],
    ['USAGE: bedrockModel and bedrockSmallModel are given without useBedrock', { bedrockModel: 'm' }],
    ['USAGE: apiKey is given, but no agent that would use it', { agent: 'none', apiKey: key }],
    [
      'UNSUPPORTED: mcpMounts cannot be honoured',
      { mcpMounts: [{ hostPath: '/', containerPath: '/home/agent/h', readOnly: false }] },
    ],
    ['UNSUPPORTED: mcpConfig cannot be honoured', { mcpConfig: { mcpServers: { a: { command: 'x' } } } }],
    [
      'CREDENTIAL_UNAVAILABLE: the value is no pair of AWS keys',
      { agent: 'claude', useBedrock: true, awsRegion: 'eu-west-1', awsAccessKeyId: 'x', awsSecretAccessKey: 'y' },
    ],
  ])('refuses arguments that cannot be honoured: %s', async (refusal, more) => {
    const args = { projectPath: home.project, agent: 'none', ...more };
    const text = await caller.refusal('create_session', args);
    expect(text).toContain(refusal);
    expect(text).not.toContain(key);
    expect(await caller.call('list_sessions')).toEqual({ sessions: [] });
  });
});
