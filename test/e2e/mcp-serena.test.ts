import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** As an agent does it: starts what its file says, shakes hands, and asks for the tools. */
const client = `import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const { command, args } = JSON.parse(readFileSync(process.env.HOME + '/.casemate/mcp.json')).mcpServers.serena;
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
const send = (message) => child.stdin.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
createInterface({ input: child.stdout }).on('line', (line) => {
  const { id, result } = JSON.parse(line);
  if (id === 1) {
    console.log('server', result.serverInfo.name);
    send({ method: 'notifications/initialized' });
    send({ id: 2, method: 'tools/list' });
  } else if (id === 2) {
    console.log(result.tools.map(({ name }) => name).join(' '));
    child.stdin.end();
  }
});
child.on('close', () => console.log('closed'));
send({ id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } } });
`;

describe.skipIf(!engineOrSkip('serena', await wholeWayLacks(['base', 'claude', 'serena'])))('the preset serena', () => {
  const apiKey = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-serena';
  let home: Home;
  let caller: McpCaller;

  beforeAll(async () => {
    home = await makeHome();
    await writeFile(join(home.project, 'client.mjs'), client);
    await writeFile(join(home.project, 'shown.py'), 'def shown():\n    return 1\n');
    caller = await startCaller(home);
  }, 60_000);
  afterAll(async () => {
    await caller.close();
    await home.remove();
  });

  it('answers a handshake and lists its tools, from an image of its own and without any network', async () => {
    const mcpConfig = { mcpServers: { serena: { preset: 'serena' } } };
    const made = { projectPath: home.project, agent: 'claude', apiKey, mcpConfig };
    const { sessionId } = await caller.call('create_session', made);
    const answer = await caller.call(
      'execute_command',
      { sessionId, command: ['node', '/workspace/client.mjs'], timeoutMs: 150_000 },
      { timeout: 170_000 },
    );
    expect(answer['stdout'], JSON.stringify(answer)).toMatch(/^server \S+\n.*\bfind_symbol\b.*\nclosed\n$/s);
    const inspected = JSON.parse((await home.casemate(['inspect', String(sessionId), '--json'])).out);
    expect(inspected.plan.image.recipe).toBe('claude');
    expect(inspected.plan.companions).toMatchObject([
      { server: 'serena', plan: { image: { recipe: 'serena' }, network: { rules: [] }, credentials: [] } },
    ]);
    await caller.call('destroy_session', { sessionId });
  }, 240_000);
});
