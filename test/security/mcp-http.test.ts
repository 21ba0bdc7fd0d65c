import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';

import { entry, makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { listen } from '../helpers/gateway-lab.ts';
import { textOf } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** Many callers over HTTP: each with its token, its role, its sessions, and nothing else. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('MCP over HTTP', () => {
  let home: Home;
  let server: ChildProcess;
  let url: URL;
  let said = '';
  const tokens: Record<string, string> = {};
  const clients: Client[] = [];

  beforeAll(async () => {
    home = await makeHome();
    const probe = createServer();
    const port = await listen(probe);
    await new Promise((done) => probe.close(done));
    url = new URL(`http://127.0.0.1:${port}/mcp`);
    server = spawn(process.execPath, [entry, 'mcp', 'serve', '--port', String(port)], { cwd: home.project, env: home.env });
    await new Promise<void>((resolve, reject) => {
      server.stderr?.on('data', (piece: Buffer) => {
        said += piece.toString('utf8');
        if (said.includes('/mcp')) {
          resolve();
        }
      });
      server.once('exit', () => reject(new Error(said)));
    });
    for (const [name, role] of Object.entries({ ada: 'operator', bob: 'operator', eve: 'viewer', root: 'admin' })) {
      await mkdir(join(home.root, name));
      const args = ['caller', 'add', name, '--root', join(home.root, name), '--role', role];
      const added = await home.casemate(args);
      expect(added).toMatchObject({ code: 0, err: expect.stringContaining(`${name} is ${role}`) });
      tokens[name] = added.out.trim();
    }
  });
  afterAll(async () => {
    await Promise.all(clients.map(async (client) => await client.close()));
    server.kill('SIGTERM');
    await once(server, 'exit');
    await home.remove();
  });

  async function connected(token: string): Promise<Client> {
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(
      new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${token}` } } }),
    );
    clients.push(client);
    return client;
  }
  async function call(client: Client, name: string, args: object = {}): Promise<CallToolResult> {
    return (await client.callTool({ name, arguments: { ...args } }, undefined, { timeout: 60_000 })) as CallToolResult;
  }
  const structured = async (client: Client, name: string, args: object = {}) => {
    const answer = await call(client, name, args);
    expect(answer.isError, textOf(answer)).not.toBe(true);
    return answer.structuredContent ?? {};
  };
  const make = async (client: Client, name: string): Promise<string> =>
    String((await structured(client, 'create_session', { projectPath: join(home.root, name), agent: 'none' }))['sessionId']);
  const post = async (
    headers: Record<string, string>,
    body: unknown = { jsonrpc: '2.0', id: 1, method: 'ping' },
    path = '/mcp',
  ) =>
    await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const sent = httpRequest(
        {
          host: '127.0.0.1',
          port: url.port,
          path,
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
        },
        (response) => {
          let text = '';
          response.on('data', (piece: Buffer) => (text += piece.toString('utf8')));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      sent.on('error', reject);
      sent.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  const bearer = (name: string) => ({ authorization: `Bearer ${tokens[name] ?? ''}` });

  it('is for those with a token, on this machine, and not for pages of browsers', async () => {
    expect((await post({})).status).toBe(401);
    expect((await post({ authorization: 'Bearer cmt_0123456789012345678901234567890123456789012' })).status).toBe(401);
    expect((await post({ authorization: `Basic ${tokens['ada'] ?? ''}` })).status).toBe(401);
    expect((await post({ ...bearer('ada'), host: 'evil.example.com' })).status).toBe(403);
    expect((await post({ ...bearer('ada'), host: `rebound.example.com:${url.port}` })).status).toBe(403);
    for (const origin of ['https://evil.example.com', 'null', `http://127.0.0.1:${url.port}`]) {
      expect((await post({ ...bearer('ada'), origin })).status, origin).toBe(403);
    }
    expect((await post(bearer('ada'), undefined, '/other')).status).toBe(404);
    expect((await post(bearer('ada'), 'no json')).status).toBe(400);
    expect((await post(bearer('ada'))).status).toBe(400);
    expect((await post({ ...bearer('ada'), 'mcp-session-id': '00000000-0000-4000-8000-000000000000' })).status).toBe(404);
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((one) => one?.internal === false && one.family === 'IPv4');
    for (const address of others) {
      const event = await new Promise((resolve) => {
        const socket = connect(Number(url.port), address?.address, () => {
          socket.destroy();
          resolve('open');
        });
        socket.once('error', () => resolve('refused'));
      });
      expect(event).toBe('refused');
    }
  });

  it('keeps callers apart, also where they use one connection or one id', async () => {
    const [ada, bob] = [await connected(tokens['ada'] ?? ''), await connected(tokens['bob'] ?? '')];
    const [own, other] = await Promise.all([make(ada, 'ada'), make(bob, 'bob')]);
    expect(await structured(bob, 'list_sessions')).toMatchObject({ sessions: [{ sessionId: other }] });
    expect(textOf(await call(bob, 'execute_command', { sessionId: own, command: 'id' }))).toContain('SANDBOX_NOT_FOUND');
    expect(textOf(await call(bob, 'create_session', { projectPath: join(home.root, 'ada'), agent: 'none' }))).toContain(
      'NOT_ALLOWED',
    );
    // The connection of another caller is not there for one's own token.
    const adas = (clients[0]?.transport as StreamableHTTPClientTransport | undefined)?.sessionId ?? '';
    const stolen = await post(
      { ...bearer('bob'), 'mcp-session-id': adas },
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'list_sessions' } },
    );
    expect(stolen).toMatchObject({ status: 404 });
    const marks = await Promise.all(
      [ada, bob].flatMap((client, index) =>
        Array.from({ length: 12 }, async (_, number) => {
          const mark = `mark-${index}-${number}-`;
          const answer = await structured(client, 'execute_command', {
            sessionId: index === 0 ? own : other,
            command: ['echo', mark],
          });
          return answer['stdout'] === `${mark}\n`;
        }),
      ),
    );
    expect(marks.every(Boolean)).toBe(true);
    expect((await home.casemate(['journal', 'query', '--json', '--action', 'exec.start'])).out).toMatch(
      /"actor":"caller:ada"[^]*"actor":"caller:bob"|bob[^]*ada/,
    );
  });

  it('gives each role what it may', async () => {
    const [eve, root] = [await connected(tokens['eve'] ?? ''), await connected(tokens['root'] ?? '')];
    for (const [name, args] of [
      ['create_session', { projectPath: join(home.root, 'eve'), agent: 'none' }],
      ['execute_command', { sessionId: 'ada', command: 'id' }],
      ['destroy_session', { sessionId: 'ada' }],
    ] as const) {
      expect(textOf(await call(eve, name, args))).toMatch(/NOT_ALLOWED|SANDBOX_NOT_FOUND/);
    }
    expect(textOf(await call(eve, 'create_session', { projectPath: join(home.root, 'eve'), agent: 'none' }))).toContain(
      'NOT_ALLOWED',
    );
    expect(await structured(eve, 'list_sessions')).toEqual({ sessions: [] });
    expect(await structured(eve, 'plan_session', { projectPath: join(home.root, 'eve'), agent: 'none' })).toMatchObject({
      image: 'base',
    });
    // The admin has those of all callers, and none of the person's.
    await home.casemate(['create', 'mine']);
    const { sessions } = (await structured(root, 'list_sessions')) as { sessions: { sessionName: string; sessionId: string }[] };
    expect(sessions.map(({ sessionName }) => sessionName).toSorted()).toEqual(['ada', 'bob']);
    const [first] = sessions;
    expect(await structured(root, 'execute_command', { sessionId: first?.sessionId, command: 'id -u' })).toMatchObject({
      stdout: '1000\n',
    });
    expect(textOf(await call(root, 'destroy_session', { sessionId: 'mine' }))).toContain('SANDBOX_NOT_FOUND');
  });

  it('is over with the time of a token and with its revocation, in the middle of a connection', async () => {
    const added = await home.casemate(['caller', 'add', 'brief', '--root', join(home.root, 'ada'), '--expires', '3s']);
    const brief = await connected(added.out.trim());
    expect(await structured(brief, 'list_sessions')).toEqual({ sessions: [] });
    await expect.poll(async () => (await post({ authorization: `Bearer ${added.out.trim()}` })).status).toBe(401);
    await expect(brief.callTool({ name: 'list_sessions' })).rejects.toThrow();
    const bob = await connected(tokens['bob'] ?? '');
    expect((await home.casemate(['caller', 'revoke', 'bob'])).code).toBe(0);
    await expect(bob.callTool({ name: 'list_sessions' })).rejects.toThrow();
    expect((await home.casemate(['caller', 'revoke', 'bob'])).code).toBe(2);
    // What is kept of a token is no token.
    const { out } = await home.casemate(['caller', 'ls', '--json']);
    expect(JSON.parse(out).map(({ name }: { name: string }) => name)).toEqual(['ada', 'brief', 'eve', 'root']);
    expect(out).not.toContain(tokens['ada']);
  });

  it('bounds how often a tool is used, and how many connections a caller has', async () => {
    const ada = await connected(tokens['ada'] ?? '');
    const answers = await Promise.all(
      Array.from({ length: 12 }, async () =>
        textOf(await call(ada, 'create_session', { projectPath: '/nowhere', agent: 'none' })),
      ),
    );
    expect(
      answers.filter((text) => text.startsWith('RATE_LIMITED: create_session was called too often; try again in')).length,
    ).toBeGreaterThan(0);
    const begin = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    };
    const begun = await Promise.all(Array.from({ length: 20 }, async () => (await post(bearer('ada'), begin)).status));
    expect(begun.filter((status) => status === 429).length).toBeGreaterThan(0);
    expect((await post(bearer('ada'), `{"x":"${'y'.repeat(9 * 1024 * 1024)}"}`).catch(() => ({ status: 413 }))).status).toBe(413);
    // Others are served as before.
    const root = await connected(tokens['root'] ?? '');
    expect(await structured(root, 'list_sessions')).toBeDefined();
  });
});
