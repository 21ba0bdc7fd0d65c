import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { textOf } from '../helpers/mcp-client.ts';
import { startMcpHttp, type McpHttp } from '../helpers/mcp-http.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** Many callers over HTTP: each with its token, its role, its sessions, and nothing else. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('MCP over HTTP', () => {
  let home: Home;
  let http: McpHttp;
  let url: URL;
  let connected: McpHttp['connected'];
  let call: McpHttp['call'];
  let structured: McpHttp['structured'];
  let post: McpHttp['post'];
  const tokens: Record<string, string> = {};

  beforeAll(async () => {
    home = await makeHome();
    http = await startMcpHttp(home);
    ({ url, connected, call, structured, post } = http);
    for (const [name, role] of Object.entries({ ada: 'operator', bob: 'operator', eve: 'viewer', root: 'admin' })) {
      tokens[name] = await http.add(name, '--role', role);
    }
  });
  afterAll(async () => {
    await http.close();
    await home.remove();
  });

  const make = async (client: Client, name: string): Promise<string> =>
    String((await structured(client, 'create_session', { projectPath: join(home.root, name), agent: 'none' }))['sessionId']);
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
    const adas = (ada.transport as StreamableHTTPClientTransport | undefined)?.sessionId ?? '';
    expect(adas).not.toBe('');
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
    const added = await home.casemate(['caller', 'add', 'brief', '--root', join(home.root, 'ada'), '--expires', '8s']);
    const brief = await connected(added.out.trim());
    expect(await structured(brief, 'list_sessions')).toEqual({ sessions: [] });
    await expect
      .poll(async () => (await post({ authorization: `Bearer ${added.out.trim()}` })).status, { timeout: 30_000 })
      .toBe(401);
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
    expect((await post(bearer('ada'), `{"x":"${'y'.repeat(9 * 1024 * 1024)}"}`)).status).toBe(413);
    const reads = await Promise.allSettled(
      Array.from({ length: 60 }, async () => await ada.readResource({ uri: 'casemate://sessions/none/journal' })),
    );
    const faults = reads.map((end) => (end.status === 'rejected' ? String(end.reason) : ''));
    expect(faults.filter((text) => text.includes('SANDBOX_NOT_FOUND')).length).toBeGreaterThan(0);
    expect(faults.filter((text) => text.includes('RATE_LIMITED: resources/read')).length).toBeGreaterThan(0);
    // Requests that never end are counted, too.
    const held = Array.from({ length: 80 }, () => heldRequest(Number(url.port), tokens['ada'] ?? ''));
    expect((await Promise.race(held.map(async ({ answered }) => await answered))).slice(0, 12)).toBe('HTTP/1.1 429');
    // Others are served as before.
    const root = await connected(tokens['root'] ?? '');
    expect(await structured(root, 'list_sessions')).toBeDefined();
    held.forEach(({ end }) => end());
    await expect.poll(async () => (await post(bearer('ada'))).status).toBe(400);
  });
});

/** Says how long its body is, and sends none of it. */
function heldRequest(port: number, token: string): { readonly answered: Promise<string>; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1', () => {
    socket.write(`POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${token}\r\ncontent-length: 10\r\n\r\n`);
  });
  socket.on('error', () => undefined);
  socket.once('data', (piece: Buffer) => resolve(piece.toString('utf8')));
  return { answered: promise, end: () => void socket.destroy() };
}
