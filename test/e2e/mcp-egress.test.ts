import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import type { Script } from '../../src/tour/model-api/script.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { handTo, startInternet, type Internet, type Serve } from '../helpers/internet.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** A server with one tool, which asks a host for `/` and says what came, and where it did so. */
const server = `import { createInterface } from 'node:readline';
import { readlinkSync } from 'node:fs';
const reach = async (host) => {
  try {
    const answer = await fetch('https://' + host + '/', { headers: { authorization: 'Bearer ' + process.env.TRACKER_TOKEN } });
    return answer.status + ' ' + (await answer.text()).replaceAll(/\\s+/g, ' ').slice(0, 60);
  } catch (error) {
    return String(error.cause ?? error);
  }
};
createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const text = method === 'tools/call' ? (await reach(params.arguments.host)) + ' from ' + readlinkSync('/proc/self/ns/net') : '';
  const result = {
    initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'tracker', version: '1' } },
    'tools/list': { tools: [{ name: 'reach', inputSchema: { type: 'object', properties: { host: { type: 'string' } } } }] },
    'tools/call': { content: [{ type: 'text', text }] },
  }[method] ?? {};
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
});
`;

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['base', 'claude'])))('a server with a list of hosts of its own', () => {
  const key = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-egress';
  const token = 'REALrealREALrealREALrealREALreal-tracker';
  let home: Home;
  let internet: Internet;
  let api: ModelApi;
  let caller: McpCaller;
  let script: Script = () => ({ say: 'Nothing to do.', act: undefined });
  const presented: string[] = [];
  const tracker = {
    command: 'node',
    args: ['/workspace/server.mjs'],
    env: { TRACKER_TOKEN: { credential: 'tracker' } },
    network_isolation: ['tracker.example.com'],
  };
  const make = async (servers: object, mcpMounts: readonly object[] = []) =>
    String(
      (
        await caller.call('create_session', {
          projectPath: home.project,
          agent: 'claude',
          apiKey: key,
          mcpConfig: { mcpServers: servers },
          mcpMounts,
        })
      )['sessionId'],
    );
  interface Listed {
    readonly id: string;
    readonly name: string;
    readonly state: string;
    readonly serves?: { readonly server: string };
  }
  const listed = async () => JSON.parse((await home.casemate(['ls', '--json'])).out) as readonly Listed[];

  beforeAll(async () => {
    home = await makeHome();
    api = await startModelApi({ expectedKey: key, script: (outcomes) => script(outcomes) });
    const said =
      (text: string): Serve =>
      (request, response) => {
        presented.push(`${text} ${String(request.headers.authorization)}`);
        response.end(text);
      };
    internet = await startInternet({
      'api.anthropic.com': handTo(api.url),
      'tracker.example.com': said('tracker'),
      'other.example.com': said('other'),
    });
    await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
    Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    const policy = `version: 1
agent: { permissions: skip }
credentials: { tracker: { provider: bearer, source: { stored: tracker } } }
network: [{ host: tracker.example.com, credential: tracker }, { host: other.example.com }]
`;
    await writeFile(join(home.paths.config, 'policy.yaml'), policy, { mode: 0o600 });
    await writeFile(join(home.project, 'server.mjs'), server);
    await mkdir(join(home.root, 'tracker'));
    await writeFile(join(home.root, 'tracker/server.mjs'), server);
    const args = ['credentials', 'set', 'tracker', '--provider', 'bearer', '--host', 'tracker.example.com'];
    expect(await home.casemate(args, { input: token })).toMatchObject({ code: 0 });
    caller = await startCaller(home);
  }, 120_000);
  afterAll(async () => {
    await caller.close();
    await home.remove();
    internet.close();
    await api.close();
  });

  it('is asked by Claude Code over a relay, and reaches its own hosts alone', async () => {
    const place = '/home/agent/servers/tracker';
    const mounts = [{ hostPath: join(home.root, 'tracker'), containerPath: place }];
    const sessionId = await make({ tracker: { ...tracker, args: [`${place}/server.mjs`] } }, mounts);
    const inside = await caller.call('execute_command', {
      sessionId,
      command: 'readlink /proc/self/ns/net; curl -sS https://other.example.com/; grep -c TRACKER_TOKEN ~/.casemate/mcp.json',
    });
    const [own = ''] = String(inside['stdout']).split('\n');
    expect(inside['stdout']).toBe(`${own}\nother0\n`);
    const hosts = ['tracker.example.com', 'other.example.com', 'api.anthropic.com'];
    script = (outcomes) =>
      outcomes.length < hosts.length
        ? { say: 'I ask.', act: { kind: 'tool', name: 'mcp__tracker__reach', input: { host: hosts[outcomes.length] } } }
        : { say: outcomes.map(({ text }) => text).join('\n'), act: undefined };
    const task = { sessionId, prompt: 'ask', tools: ['mcp__tracker__reach', 'Bash(true)'] };
    const answer = await caller.call('execute_in_session', task, { timeout: 120_000 });
    const [allowed, refused, model] = String(answer['result'])
      .split('\n')
      .filter((line) => line.includes(' from '));
    expect(allowed, JSON.stringify(answer)).toContain('200 tracker');
    expect(refused).toContain('403');
    expect(model).toContain('403');
    expect(answer['result']).not.toContain(own);
    expect(presented.filter((line) => line.startsWith('tracker'))).toEqual([`tracker Bearer ${token}`]);
    const { events } = (await caller.call('get_events', { sessionId, limit: 500 })) as {
      events: { action: string; subject: string; decision: string; detail?: Record<string, unknown> }[];
    };
    const denied = events.filter(({ decision, detail }) => decision === 'deny' && detail?.['server'] === 'tracker');
    expect(new Set(denied.map(({ subject }) => subject))).toEqual(new Set(['other.example.com:443', 'api.anthropic.com:443']));
    expect(events.some(({ action, subject }) => action === 'server.connect' && subject === 'tracker')).toBe(true);
    await caller.call('destroy_session', { sessionId });
    expect(await listed()).toEqual([]);
  }, 180_000);

  it('lists no more than the policy allows, and no host of a key that it is not given', async () => {
    const refused: [object, string][] = [
      [{ network_isolation: ['more.example.com'] }, 'POLICY_WIDENS: mcpConfig: the server "tracker" lists more.example.com'],
      [{ network_isolation: ['*.example.org'] }, 'POLICY_WIDENS: mcpConfig: the server "tracker" lists *.example.org'],
      [
        { env: {} },
        'UNSUPPORTED: mcpConfig: the server "tracker" lists tracker.example.com, where the policy puts the credential',
      ],
      [{ network_isolation: ['10.0.0.1'] }, '-32602: create_session: mcpConfig.mcpServers.tracker'],
    ];
    for (const [change, why] of refused) {
      const mcpConfig = { mcpServers: { tracker: { ...tracker, ...change } } };
      const made = { projectPath: home.project, agent: 'claude', apiKey: key, mcpConfig };
      expect(await caller.refusal('create_session', made), JSON.stringify(change)).toContain(why);
    }
    expect(await listed()).toEqual([]);
  });

  it('has a sandbox that nobody ends alone, that outlives a killed daemon with its session, and goes with it', async () => {
    const sessionId = await make({ tracker });
    const [companion] = (await listed()).filter(({ serves }) => serves !== undefined);
    expect(companion).toMatchObject({ state: 'running', serves: { server: 'tracker' } });
    for (const verb of ['stop', 'destroy', 'restart']) {
      const { code, err } = await home.casemate([verb, companion?.name ?? '', ...(verb === 'destroy' ? ['--dry-run'] : [])]);
      expect(code, err).not.toBe(0);
      expect(err).toContain('and lives with it');
    }
    expect(await caller.call('list_sessions')).toMatchObject({ sessions: [{ sessionId }] });
    const ask = async () =>
      await caller.call('execute_command', {
        sessionId,
        command: [
          'sh',
          '-c',
          `printf '%s\\n' '${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { arguments: { host: 'other.example.com' } } })}' |
           node -e 'const {command, args} = JSON.parse(fs.readFileSync(process.env.HOME + "/.casemate/mcp.json")).mcpServers.tracker;
             const child = child_process.spawn(command, args, {stdio: ["pipe", "pipe", "inherit"]});
             child.stdin.write(fs.readFileSync(0)); child.stdout.once("data", (line) => { console.log(String(line)); child.kill(); })'`,
        ],
      });
    expect((await ask())['stdout']).toContain('403');
    // A connection that is open when the daemon is killed: its program there must not stay without an owner.
    const { command: relay, args: way } = JSON.parse(
      String((await caller.call('execute_command', { sessionId, command: 'cat ~/.casemate/mcp.json' }))['stdout']),
    ).mcpServers.tracker as { command: string; args: string[] };
    await caller.call('start_command', { sessionId, command: ['sh', '-c', 'sleep 600 | "$@"', 'sh', relay, ...way] });
    const inside = async () =>
      JSON.parse((await home.casemate(['inspect', companion?.name ?? '', '--json'])).out) as {
        commands: unknown[];
        processes: number[];
      };
    await expect.poll(async () => (await inside()).commands.length, { timeout: 30_000 }).toBe(1);
    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } };
    process.kill(daemon.pid, 'SIGKILL');
    expect((await ask())['stdout']).toContain('403');
    await expect.poll(async () => (await inside()).commands.length, { timeout: 30_000 }).toBe(0);
    await expect.poll(async () => (await inside()).processes.length, { timeout: 30_000 }).toBe(1);
    await caller.call('destroy_session', { sessionId });
    expect(await listed()).toEqual([]);
  }, 120_000);
});
