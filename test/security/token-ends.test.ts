import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';

import { processesNaming } from '../../src/system/processes-naming.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { textOf } from '../helpers/mcp-client.ts';
import { startMcpHttp, type McpHttp } from '../helpers/mcp-http.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const patience = { timeout: 45_000 };
/** a call whose stream was closed under it is given up by the client alone */
const brief = { timeout: 20_000 };

/** A token that is taken back in the middle of everything: nothing goes on in its name. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('the end of a token', () => {
  let home: Home;
  let http: McpHttp;

  beforeAll(async () => {
    home = await makeHome();
    http = await startMcpHttp(home);
  });
  afterAll(async () => {
    await http.close();
    await home.remove();
  });

  const make = async (client: Client, name: string): Promise<string> =>
    String((await http.structured(client, 'create_session', { projectPath: http.rootOf(name), agent: 'none' }))['sessionId']);
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      JSON.parse((await home.casemate(['ls', '--json'])).out).map((row: { id: string; state: string; reason: string }) => [
        row.id,
        `${row.state} ${row.reason}`,
      ]),
    );
  const idOf = (client: Client): string => (client.transport as StreamableHTTPClientTransport | undefined)?.sessionId ?? '';
  /** Commands that say their mark as an argument, with one that left its session: this host sees all of them. */
  const busy = (mark: string): string[] => ['sh', '-c', `setsid sleep ${mark} & sleep ${mark}; :`];
  const over = /^(?:NOT_ALLOWED: the token of this caller was revoked|ended)/;
  const ended = (): string => 'ended';
  const newMark = (): string => String(100_000 + (randomBytes(4).readUInt32BE() % 800_000));
  const running = async (mark: string): Promise<number> => (await processesNaming(mark)).length;

  it(
    'ends calls, background work and whatever they started, at once, and stops the sandboxes',
    { timeout: 240_000 },
    async () => {
      const tokens = { ada: await http.add('ada'), bob: await http.add('bob') };
      const [ada, again, bob] = [
        await http.connected(tokens.ada),
        await http.connected(tokens.ada),
        await http.connected(tokens.bob),
      ];
      const [own, other] = [await make(ada, 'ada'), await make(bob, 'bob')];
      const marks = { call: newMark(), background: newMark(), bob: newMark() };
      const called = ada
        .callTool({ name: 'execute_command', arguments: { sessionId: own, command: busy(marks.call) } }, undefined, brief)
        .then((answer) => textOf(answer as CallToolResult), ended);
      const started = await http.structured(again, 'start_command', { sessionId: own, command: busy(marks.background) });
      const waitingFor = { executionId: started['executionId'], timeoutMs: 60_000 };
      const waiting = again
        .callTool({ name: 'wait_for_execution', arguments: waitingFor }, undefined, brief)
        .then((answer) => textOf(answer as CallToolResult), ended);
      await http.structured(bob, 'start_command', { sessionId: other, command: busy(marks.bob) });
      for (const mark of Object.values(marks)) {
        await expect.poll(async () => await running(mark), patience).toBeGreaterThan(1);
      }
      const revoked = await home.casemate(['caller', 'revoke', 'ada', '--json']);
      expect(JSON.parse(revoked.out)).toEqual({ name: 'ada', revoked: true, stopped: ['ada'] });
      // Already now: the person is not told before it is over.
      expect(await running(marks.call)).toBe(0);
      expect(await running(marks.background)).toBe(0);
      expect(await states()).toMatchObject({ [own]: 'stopped caller-revoked', [other]: expect.stringContaining('running') });
      expect(await called).toMatch(over);
      expect(await waiting).not.toContain('"exitCode":0');
      await expect(ada.callTool({ name: 'list_sessions' })).rejects.toThrow();
      // Who is not meant goes on.
      expect(await running(marks.bob)).toBeGreaterThan(1);
      expect(await http.structured(bob, 'execute_command', { sessionId: other, command: 'echo on' })).toMatchObject({
        stdout: 'on\n',
      });
    },
  );

  it('gives a connection of the old token to no new one of the name', async () => {
    const old = await http.add('dora');
    const client = await http.connected(old);
    const session = await make(client, 'dora');
    await http.structured(client, 'execute_command', { sessionId: session, command: 'echo kept > ~/kept' });
    await home.casemate(['caller', 'revoke', 'dora']);
    // The same name, with less.
    await mkdir(join(http.rootOf('dora'), 'sub'));
    const added = await home.casemate(['caller', 'add', 'dora', '--role', 'viewer', '--root', join(http.rootOf('dora'), 'sub')]);
    const call = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'list_sessions' } };
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    const continued = await http.post({ ...bearer(added.out.trim()), 'mcp-session-id': idOf(client) }, call);
    expect(continued.status).toBe(404);
    expect((await http.post({ ...bearer(old), 'mcp-session-id': idOf(client) }, call)).status).toBe(401);
    const viewer = await http.connected(added.out.trim());
    expect(await http.structured(viewer, 'list_sessions')).toMatchObject({
      sessions: [{ sessionId: session, state: 'stopped' }],
    });
    expect(textOf(await http.call(viewer, 'execute_command', { sessionId: session, command: 'id' }))).toContain('NOT_ALLOWED');
    // What it wrote is kept for one that may go on with it.
    await home.casemate(['caller', 'revoke', 'dora']);
    const operator = await http.connected(await http.add('dora'));
    expect(await http.structured(operator, 'execute_command', { sessionId: session, command: 'cat ~/kept' })).toMatchObject({
      stdout: 'kept\n',
    });
  });

  it('is over for an admin in the sandboxes of others, and ends the stream that it listens to', async () => {
    const tokens = { carl: await http.add('carl'), chief: await http.add('chief', '--role', 'admin') };
    const [carl, chief] = [await http.connected(tokens.carl), await http.connected(tokens.chief)];
    const session = await make(carl, 'carl');
    const mark = newMark();
    const called = chief
      .callTool({ name: 'execute_command', arguments: { sessionId: session, command: busy(mark) } }, undefined, brief)
      .then((answer) => textOf(answer as CallToolResult), ended);
    await expect.poll(async () => await running(mark), patience).toBeGreaterThan(1);
    await home.casemate(['caller', 'revoke', 'chief']);
    expect(await running(mark)).toBe(0);
    expect(await called).toMatch(over);
    expect(await http.structured(carl, 'execute_command', { sessionId: session, command: 'echo on' })).toMatchObject({
      stdout: 'on\n',
    });
    // A stream that says nothing ends as well.
    const stream = await listening(tokens.carl);
    await home.casemate(['caller', 'revoke', 'carl']);
    await stream.ended;
  }, 240_000);

  /** A connection that only listens, as the protocol has it. */
  async function listening(token: string): Promise<{ readonly ended: Promise<void> }> {
    const headers = { authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream' };
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    const begun = await fetch(http.url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
    });
    await begun.text();
    const id = begun.headers.get('mcp-session-id') ?? '';
    const { status, body } = await fetch(http.url, { headers: { ...headers, 'mcp-session-id': id } });
    expect(status).toBe(200);
    const read = async (): Promise<void> => {
      for await (const _ of body ?? []) {
        // Nothing is said.
      }
    };
    return { ended: read().catch(() => undefined) };
  }
});
