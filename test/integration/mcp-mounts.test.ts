import { link, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** Answers `initialize` and `tools/list` as a server of the protocol does, with a module that lies beside it. */
const server = `import { name } from './lib/name.mjs';
import { createInterface } from 'node:readline';
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  const result = method === 'initialize'
    ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name, version: '1' } }
    : { tools: [] };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
});
`;
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
};

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('mcpMounts', () => {
  let home: Home;
  let caller: McpCaller;
  let tools = '';
  const target = '/home/agent/servers/tools';
  const make = (mount: object) => ({ projectPath: home.project, agent: 'none', mcpMounts: [mount] });

  beforeAll(async () => {
    home = await makeHome();
    tools = join(home.root, 'tools');
    await mkdir(join(tools, 'lib'), { recursive: true });
    await mkdir(join(home.root, 'secret'));
    await writeFile(join(home.root, 'secret/key'), 'canary');
    await writeFile(join(tools, 'server.mjs'), server);
    await writeFile(join(tools, 'lib/name.mjs'), "export const name = 'copied';\n");
    await symlink(join(home.root, 'secret/key'), join(tools, 'lib/link'));
    await symlink(join(home.root, 'secret'), join(tools, 'linked'));
    caller = await startCaller(home, { args: ['--root', home.project, '--root', tools] });
  });
  afterAll(async () => {
    await caller.close();
    await home.remove();
  });

  it('puts a server into the session, where it answers, and nothing comes back', async () => {
    const { sessionId } = await caller.call('create_session', make({ hostPath: tools, containerPath: target }));
    const answer = await caller.call('execute_command', {
      sessionId,
      command: ['node', `${target}/server.mjs`],
      input: `${JSON.stringify(initialize)}\n`,
    });
    expect(JSON.parse(String(answer['stdout']))).toMatchObject({ result: { serverInfo: { name: 'copied' } } });
    const inside = await caller.call('execute_command', {
      sessionId,
      command: `cd ${target} && find . | sort && echo changed > server.mjs; grep -r canary /home/agent`,
    });
    // Links are left out, and not followed.
    expect(inside['stdout']).toBe('.\n./lib\n./lib/name.mjs\n./server.mjs\n');
    expect(await readFile(join(tools, 'server.mjs'), 'utf8')).toBe(server);
    // It is there again after a stop.
    await home.casemate(['stop', String(sessionId)]);
    const again = await caller.call('execute_command', { sessionId, command: ['cat', `${target}/server.mjs`] });
    expect(again['stdout']).toBe('changed\n');
    await caller.call('destroy_session', { sessionId });
  });

  it('is refused before anything is made where it cannot be honoured, and leaves nothing where it fails', async () => {
    await symlink(join(home.root, 'secret'), join(home.project, 'out'));
    await link(join(home.root, 'secret/key'), join(home.project, 'hard'));
    const plain = { hostPath: tools, containerPath: target };
    const refused: [object, string][] = [
      [{ ...plain, hostPath: join(home.root, 'secret') }, 'NOT_ALLOWED'],
      [{ ...plain, hostPath: '/etc' }, 'NOT_ALLOWED'],
      [{ ...plain, hostPath: `${tools}/../secret` }, 'PATH_INVALID'],
      [{ ...plain, hostPath: join(home.project, 'out') }, 'PATH_INVALID'],
      [{ ...plain, hostPath: join(home.project, 'out/key') }, 'PATH_INVALID'],
      [{ ...plain, hostPath: join(home.project, 'hard') }, 'PATH_INVALID'],
      [{ ...plain, readOnly: false }, 'UNSUPPORTED: mcpMounts'],
      [{ ...plain, privileged: true }, '-32602'],
      ...['/etc/x', '/workspace/x', '/home/agent', '/home/agent/', '/home/agent/../x', '/home/agent/.casemate/mcp.json', 'x'].map(
        (containerPath): [object, string] => [{ ...plain, containerPath }, 'PATH_INVALID: mcpMounts'],
      ),
    ];
    for (const [mount, why] of refused) {
      expect(await caller.refusal('create_session', make(mount)), JSON.stringify(mount)).toContain(why);
    }
    expect(await caller.call('list_sessions')).toMatchObject({ sessions: [] });
    expect((await readdir(home.project)).toSorted()).toEqual(['hard', 'out']);
  });
});
