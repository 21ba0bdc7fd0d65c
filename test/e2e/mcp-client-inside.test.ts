import { request as httpRequest } from 'node:http';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import type { Script } from '../../src/tour/model-api/script.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { handTo, startInternet, type Internet, type Serve } from '../helpers/internet.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { startMcpHttp, type McpHttp } from '../helpers/mcp-http.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/**
 * The real Claude Code in a sandbox drives other sandboxes: it reaches the server outside through the gateway, as any host,
 * and holds a stand-in of its token. The model is a stand-in that only knows the tools.
 */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['base', 'claude'])))('Claude Code inside as a client of ours', () => {
  const key = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-inside';
  let home: Home;
  let http: McpHttp;
  let internet: Internet;
  let api: ModelApi;
  let caller: McpCaller;
  let token = '';
  let script: Script = () => ({ say: 'Nothing to do.', act: undefined });
  const presented: string[] = [];

  beforeAll(async () => {
    home = await makeHome();
    http = await startMcpHttp(home, ['--host', 'casemate.example.com']);
    token = await http.add('inner');
    api = await startModelApi({ expectedKey: key, script: (outcomes) => script(outcomes) });
    const outside: Serve = (request, response) => {
      presented.push(String(request.headers.authorization));
      const { method, headers } = request;
      const onward = httpRequest(new URL(request.url ?? '/', http.url), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    };
    internet = await startInternet({ 'api.anthropic.com': handTo(api.url), 'casemate.example.com': outside });
    await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
    // The daemon is started anew, with the ways of this host as they are now.
    await home.casemate(['daemon', 'stop', '--force']);
    Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    const policy = `version: 1
agent: { permissions: skip }
credentials: { orchestrator: { provider: bearer, source: { stored: orchestrator } } }
network: [{ host: casemate.example.com, credential: orchestrator }]
`;
    await writeFile(join(home.paths.config, 'policy.yaml'), policy, { mode: 0o600 });
    const args = ['credentials', 'set', 'orchestrator', '--provider', 'bearer', '--host', 'casemate.example.com'];
    expect(await home.casemate(args, { input: token })).toMatchObject({ code: 0 });
    caller = await startCaller(home);
  }, 120_000);
  afterAll(async () => {
    await caller.close();
    await http.close();
    await home.remove();
    internet.close();
    await api.close();
  });

  it('makes a sandbox for another project, works in it, and never has the token', async () => {
    const other = join(http.rootOf('inner'), 'other');
    await mkdir(other, { recursive: true });
    const mcpServers = {
      casemate: {
        type: 'http',
        url: 'https://casemate.example.com/mcp',
        headers: { Authorization: { credential: 'orchestrator', prefix: 'Bearer ' } },
      },
    };
    const made = { projectPath: home.project, agent: 'claude', apiKey: key, mcpConfig: { mcpServers } };
    const sessionId = String((await caller.call('create_session', made))['sessionId']);
    const tool = (name: string, input: object) => ({
      say: `I call ${name}.`,
      act: { kind: 'tool', name: `mcp__casemate__${name}`, input: { ...input } } as const,
    });
    script = (outcomes) => {
      const inner = /cm-[0-9a-f]{16}/.exec(outcomes[0]?.text ?? '')?.[0] ?? 'none';
      return (
        [
          tool('create_session', { projectPath: other, agent: 'none' }),
          tool('execute_command', { sessionId: inner, command: 'echo made inside > made.txt; id -u' }),
          tool('destroy_session', { sessionId: inner }),
        ][outcomes.length] ?? { say: `It said: ${outcomes.map(({ text }) => text).join(' ')}`, act: undefined }
      );
    };
    const tools = ['create_session', 'execute_command', 'destroy_session'].map((name) => `mcp__casemate__${name}`);
    const task = { sessionId, prompt: 'work in the other project', tools: [...tools, 'Bash(true)'] };
    const answer = await caller.call('execute_in_session', task, { timeout: 120_000 });
    expect(answer['result'], JSON.stringify([answer, presented])).toContain('1000');
    expect(await readFile(join(other, 'made.txt'), 'utf8')).toBe('made inside\n');
    expect(new Set(presented)).toEqual(new Set([`Bearer ${token}`]));
    const inside = await caller.call('execute_command', {
      sessionId,
      command: 'cat ~/.casemate/mcp.json; env; grep -rs cmt_ ~ /workspace | head -5',
    });
    expect(inside['stdout']).toContain('"Authorization": "Bearer ');
    expect(inside['stdout']).not.toContain(token);
    const journal = await home.casemate(['journal', 'query', '--json', '--action', 'sandbox.create']);
    expect(journal.out).toContain('"actor":"caller:inner"');
  }, 180_000);

  it('is out when the token is revoked', async () => {
    await home.casemate(['caller', 'revoke', 'inner']);
    const session = await caller.call('list_sessions');
    const [{ sessionId } = { sessionId: '' }] = session['sessions'] as { sessionId: string }[];
    const ask =
      'curl -sS -o /dev/null -w "%{http_code}" -X POST -d "{}" -H "$(grep -o "Bearer [^\\"]*" ~/.casemate/mcp.json | sed s/^/Authorization:\\ /)"';
    const answer = await caller.call('execute_command', { sessionId, command: `${ask} https://casemate.example.com/mcp` });
    expect(answer['stdout']).toBe('401');
  }, 120_000);
});
