/** Clients of every version of the protocol that there is, over both transports, written by hand as another implementation would be. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { entry, makeHome, type Home } from '../helpers/cli.ts';
import { startMcpHttp, type McpHttp } from '../helpers/mcp-http.ts';

const known = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const;
const newest = '2025-11-25';
const accept = 'application/json, text/event-stream';

const initialize = (protocolVersion: string) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion, capabilities: {}, clientInfo: { name: 'by-hand', version: '1' } },
});
const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
const list = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'list_sessions', arguments: {} } };

interface Answer {
  readonly id?: number;
  readonly result?: {
    readonly protocolVersion?: string;
    readonly structuredContent?: object;
    readonly tools?: readonly object[];
  };
  readonly error?: { readonly code: number; readonly message: string };
}

describe('the protocol in its versions', { timeout: 60_000 }, () => {
  let home: Home;
  let http: McpHttp;
  let token = '';

  beforeAll(async () => {
    home = await makeHome();
    http = await startMcpHttp(home);
    token = await http.add('versions');
  }, 60_000);
  afterAll(async () => {
    await http.close();
    await home.remove();
  });

  async function overStdio(version: string): Promise<readonly Answer[]> {
    const child = spawn(process.execPath, [entry, 'mcp', '--root', home.root], { cwd: home.project, env: home.env });
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const next = async (): Promise<Answer> => JSON.parse(String((await lines.next()).value)) as Answer;
      child.stdin.write(`${JSON.stringify(initialize(version))}\n`);
      const first = await next();
      child.stdin.write(`${JSON.stringify(initialized)}\n${JSON.stringify(list)}\n`);
      return [first, await next()];
    } finally {
      child.stdin.end();
      await once(child, 'exit');
    }
  }

  it.each(known)('answers in %s over standard input and output', async (version) => {
    const [first, second] = await overStdio(version);
    expect(first?.result?.protocolVersion).toBe(version);
    expect(second?.result?.structuredContent).toEqual({ sessions: [] });
  });

  it('offers its newest where it does not know the one that is asked for', async () => {
    const [first] = await overStdio('1999-01-01');
    expect(first?.result?.protocolVersion).toBe(newest);
  });

  /** By what was sent: the status, and the messages of the answer, as JSON or as events. */
  async function post(body: unknown, headers: Readonly<Record<string, string>> = {}) {
    const response = await fetch(http.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${token}`, ...headers },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    const lines = text.split('\n').flatMap((line) => (line.startsWith('data: {') ? [line.slice(6)] : []));
    const answers = (lines.length > 0 ? lines : text === '' ? [] : [text]).flatMap(
      (line) => JSON.parse(line) as Answer | Answer[],
    );
    return { status: response.status, session: response.headers.get('mcp-session-id') ?? '', answers };
  }

  it.each(known)('answers in %s over HTTP', async (version) => {
    const { session, answers } = await post(initialize(version));
    expect(answers[0]?.result?.protocolVersion).toBe(version);
    // Before June 2025 a client does not say it again.
    const headers = { 'mcp-session-id': session, ...(version < '2025-06-18' ? {} : { 'mcp-protocol-version': version }) };
    expect((await post(initialized, headers)).status).toBe(202);
    const called = await post(list, headers);
    expect(called.answers[0]?.result?.structuredContent).toEqual({ sessions: [] });
    expect((await post(list, { ...headers, 'mcp-protocol-version': '1999-01-01' })).status).toBe(400);
  });

  it('takes several messages at once, as one version has them', async () => {
    const { session } = await post(initialize('2025-03-26'));
    const headers = { 'mcp-session-id': session };
    await post(initialized, headers);
    const { answers } = await post([list, { ...list, id: 3 }, { jsonrpc: '2.0', id: 4, method: 'tools/list' }], headers);
    expect(new Set(answers.map(({ id }) => id))).toEqual(new Set([2, 3, 4]));
    // A page for each line would be an attack on whoever makes the pages.
    const many = await post(
      Array.from({ length: 100 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'tools/list' })),
      headers,
    );
    expect(many.answers).toHaveLength(100);
    expect(
      many.answers.filter(({ error }) => error?.message.startsWith('RATE_LIMITED: tools/list') === true).length,
    ).toBeGreaterThan(0);
    expect(
      (
        await post(
          Array.from({ length: 101 }, (_, id) => ({ ...list, id })),
          headers,
        )
      ).status,
    ).toBe(400);
  });
});
