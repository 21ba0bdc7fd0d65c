/** Servers with a list of hosts of their own, with the engines `docker` and `podman`: a container of its own for each. */
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, type Home } from '../helpers/cli.ts';
import { dockerLacks, workspaceOwner } from '../helpers/docker-lab.ts';
import { listen } from '../helpers/gateway-lab.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const engines = (
  [
    { engine: 'docker', is: engineOrSkip('docker', await dockerLacks()) },
    { engine: 'podman', is: engineOrSkip('podman', await dockerLacks('podman')) },
  ] as const
).filter(({ is }) => is);

/** For each line it is given it asks both hosts, and says what came and in which network. */
const server = `while read -r line; do
  for host in tracker other; do
    curl -sS -o /dev/null -w '%{http_code} ' -H "authorization: Bearer $TRACKER_TOKEN" "https://$host.example.com/" 2> /dev/null
  done
  readlink /proc/self/ns/net
done
`;

describe.each(engines)('a server with a list of hosts of its own, with $engine', { timeout: 240_000 }, ({ engine }) => {
  const key = 'sk-ant-api03-REALrealREALrealREALrealREALrealREALreal-engines';
  const token = 'REALrealREALrealREALrealREALreal-tracker';
  let home: Home;
  let upstream: Server;
  let caller: McpCaller;
  const presented: (string | undefined)[] = [];
  const listed = async () => JSON.parse((await home.casemate(['ls', '--json'])).out) as readonly { readonly serves?: object }[];

  beforeAll(async () => {
    home = await makeHome();
    await chown(home.project, workspaceOwner, workspaceOwner);
    upstream = createServer((request, response) => {
      presented.push(request.headers.authorization);
      response.end('hello\n');
    });
    const port = await listen(upstream);
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    const policy = `version: 1
engine: ${engine}
image: base
waive: [user-namespace, disk-limit]
credentials: { tracker: { provider: bearer, source: { stored: tracker } } }
network:
  - { host: tracker.example.com, credential: tracker, upstream: "http://127.0.0.1:${port}" }
  - { host: other.example.com, allow: ["GET /**"], upstream: "http://127.0.0.1:${port}" }
`;
    await writeFile(join(home.paths.config, 'policy.yaml'), policy, { mode: 0o600 });
    await writeFile(join(home.project, 'server.sh'), server);
    const args = ['credentials', 'set', 'tracker', '--provider', 'bearer', '--host', 'tracker.example.com'];
    expect(await home.casemate(args, { input: token })).toMatchObject({ code: 0 });
    caller = await startCaller(home);
  }, 120_000);
  afterAll(async () => {
    await caller.close();
    await home.remove();
    upstream.close();
  });

  it('reaches these alone, from a container of its own that goes with the session, also past a killed daemon', async () => {
    const tracker = {
      command: 'sh',
      args: ['/workspace/server.sh'],
      env: { TRACKER_TOKEN: { credential: 'tracker' } },
      network_isolation: ['tracker.example.com'],
    };
    const made = { projectPath: home.project, agent: 'claude', apiKey: key, mcpConfig: { mcpServers: { tracker } } };
    const { sessionId } = await caller.call('create_session', made);
    const run = async (command: string | readonly string[]) =>
      String((await caller.call('execute_command', { sessionId, command }))['stdout']);
    const { command, args } = JSON.parse(await run('cat ~/.casemate/mcp.json')).mcpServers.tracker;
    const ask = async () => await run(['sh', '-c', 'echo x | "$@"', 'sh', command, ...args]);
    const own = await run(
      "curl -sS -o /dev/null -w '%{http_code} ' https://other.example.com/; readlink /proc/self/ns/net; env | grep -c TRACKER_TOKEN",
    );
    expect(own).toMatch(/^200 net:\[\d+\]\n0\n$/);
    const first = await ask();
    expect(first).toMatch(/^200 403 net:\[\d+\]\n$/);
    expect(own).not.toContain(first.split(' ')[2]?.trim());
    expect(presented.filter((value) => value?.startsWith('Bearer'))).toEqual([`Bearer ${token}`]);
    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } };
    process.kill(daemon.pid, 'SIGKILL');
    expect(await ask()).toBe(first);
    expect((await listed()).filter(({ serves }) => serves !== undefined)).toHaveLength(1);
    await caller.call('destroy_session', { sessionId });
    expect(await listed()).toEqual([]);
  });
});
