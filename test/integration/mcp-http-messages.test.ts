/** What one message over HTTP may be made of, and what a caller leaves behind by what it cancels. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

import type { CallerClaim } from '../../src/daemon/caller-view.ts';
import type { Listener } from '../../src/mcp/http-listener.ts';
import { createMessageRoom } from '../../src/mcp/message-room.ts';
import { serveHttp, type HttpOptions } from '../../src/mcp/serve-http.ts';
import { tool, type Tool } from '../../src/mcp/tool.ts';
import { unusedPort } from '../helpers/unused-port.ts';

const claim: CallerClaim = { name: 'ada', roots: ['/p'], token: '0'.repeat(64) };
const mib = 1024 * 1024;
const hints = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };

let listener: Listener;
let port: number;
let session: Record<string, string>;
let waiting: PromiseWithResolvers<void>;
/** calls of `wait` that have begun */
let begun: number;

/** requests of which it was asked whose they are; it is told when the gate opens */
let asked: number;
let gate: PromiseWithResolvers<void>;

let nowMs: number;
/** how often the clock was looked at */
let looks: number;

/** Begins what goes on when its call was answered. */
const starts: Tool = tool({
  name: 'start',
  title: 'Start',
  about: 'Starts.',
  input: z.strictObject({}),
  output: z.strictObject({ id: z.string() }),
  hints,
  async run(_, context) {
    const id = await context.background.start('command', context, async (__, named) => {
      named('ex-0');
      await waiting.promise;
      return {};
    });
    return { id };
  },
});

/** It goes on whatever its caller does, as the end of a command may. */
const waits: Tool = tool({
  name: 'wait',
  title: 'Wait',
  about: 'Waits.',
  input: z.strictObject({ words: z.array(z.string()).optional() }),
  output: z.strictObject({ done: z.boolean() }),
  hints,
  async run() {
    begun += 1;
    await waiting.promise;
    return { done: true };
  },
});

beforeEach(async () => {
  port = await unusedPort();
  waiting = Promise.withResolvers();
  begun = 0;
  asked = 0;
  gate = Promise.withResolvers();
  gate.resolve();
  session = {};
  nowMs = 0;
  looks = 0;
  listener = await serveHttp({
    port,
    tools: [waits, starts],
    nowMs() {
      looks += 1;
      return nowMs;
    },
    sweepEveryMs: 10,
    room: createMessageRoom(8 * mib, 8 * mib),
    async findCaller() {
      asked += 1;
      await gate.promise;
      return claim;
    },
    stillHolds: async () => true,
    partsOf: () => ({}) as ReturnType<HttpOptions['partsOf']>,
  });
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const { head } = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  session = { 'mcp-session-id': String(head.headers['mcp-session-id']) };
});

afterEach(async () => {
  waiting.resolve();
  await listener.close();
});

interface Posted {
  readonly head: IncomingMessage;
  readonly text: string;
}

const authorized = () => ({
  authorization: 'Bearer 0123456789abcdef',
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  ...session,
});

async function post(body: unknown): Promise<Posted> {
  const { promise, resolve, reject } = Promise.withResolvers<Posted>();
  const headers = authorized();
  const sent = httpRequest({ host: '127.0.0.1', port, path: '/mcp', method: 'POST', headers, agent: false }, (head) => {
    let text = '';
    head.on('data', (piece: Buffer) => {
      text += piece.toString('utf8');
    });
    head.on('end', () => resolve({ head, text }));
    head.on('error', reject);
  });
  sent.on('error', reject);
  sent.end(typeof body === 'string' ? body : JSON.stringify(body));
  return await promise;
}

/** Ends the connection. */
async function leave(): Promise<void> {
  await new Promise<void>((done, fail) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port, path: '/mcp', method: 'DELETE', agent: false, headers: authorized() },
      (head) => {
        head.resume().on('end', done);
      },
    );
    sent.on('error', fail).end();
  });
}

const calling = (id: unknown, args: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'wait', arguments: args },
});

const cancelling = (requestId: unknown) => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });

describe('a message over HTTP', () => {
  it('of very many parts, or very deep, is refused before it is parsed', async () => {
    const members = `{${Array.from({ length: 300_000 }, (_, at) => `"k${at}":1`).join(',')}}`;
    const many = await post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","arguments":${members}}}`);
    expect([many.head.statusCode, many.text]).toEqual([400, expect.stringContaining('10000 parts at most')]);
    const deep = await post(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    expect([deep.head.statusCode, deep.text]).toEqual([400, expect.stringContaining('64 levels deep')]);
    waiting.resolve();
    // What is in texts is no part, and a long command is none too long.
    const words = [`,[{"\\`.repeat(50_000), ...Array.from({ length: 4096 }, () => 'word')];
    expect((await post(calling(2, { words }))).text).toContain('"done":true');
  });

  it('has ids and progress tokens that can be repeated', async () => {
    const long = 'x'.repeat(257);
    const token = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'wait', _meta: { progressToken: long } } };
    for (const body of [calling(long), [calling(1), calling(long)], token, cancelling(long)]) {
      const { head, text } = await post(body);
      expect([head.statusCode, text]).toEqual([400, expect.stringContaining('256 characters at most')]);
    }
    expect(begun).toBe(0);
  });

  it('asks under an id that no open request has', async () => {
    const first = post(calling('one'));
    await expect.poll(() => begun).toBe(1);
    for (const body of [calling('one'), [calling('two'), calling('two')]]) {
      const { head, text } = await post(body);
      expect([head.statusCode, text]).toEqual([400, expect.stringContaining('a request of that id is open')]);
    }
    waiting.resolve();
    expect((await first).text).toContain('"done":true');
    expect((await post(calling('one'))).text).toContain('"done":true');
    expect(begun).toBe(2);
  });
});

describe('a request that is cancelled', () => {
  it('has its stream ended, with the answers beside it', async () => {
    const both = post([calling('slow'), { jsonrpc: '2.0', id: 'quick', method: 'ping' }]);
    await expect.poll(() => begun).toBe(1);
    expect((await post(cancelling('slow'))).head.statusCode).toBe(202);
    const { text } = await both;
    expect(text).toContain('"id":"quick"');
    expect(text.match(/"id":"slow"/g)).toHaveLength(1);
    expect(text).toContain('-32800');
    // Its id is free, and its own late end is told to nobody.
    const next = post(calling('slow'));
    await expect.poll(() => begun).toBe(2);
    waiting.resolve();
    expect((await next).text).toContain('"done":true');
  });
});

describe('a connection that nobody uses', () => {
  it('ends after half an hour, and not while what began in it goes on', async () => {
    const { text } = await post({ ...calling(1), params: { name: 'start', arguments: {} } });
    expect(text).toContain('ex-0');
    nowMs += 31 * 60_000;
    const before = looks;
    // Nobody asks anything: these are looks for what nobody uses.
    await expect.poll(() => looks, { timeout: 20_000 }).toBeGreaterThan(before + 3);
    expect((await post(calling(2, { words: 1 }))).head.statusCode).toBe(200);
    waiting.resolve();
    await expect
      .poll(
        async () => {
          nowMs += 31 * 60_000;
          return (await post({ jsonrpc: '2.0', id: 3, method: 'ping' })).head.statusCode;
        },
        { timeout: 20_000 },
      )
      .toBe(404);
  });
});

describe('what messages hold of memory', () => {
  const long = (id: number, bytes: number) => calling(id, { words: ['x'.repeat(bytes)] });
  const begins = async (count: number) => await expect.poll(() => begun).toBe(count);

  it('is bounded for one caller until they are answered; short ones have their room', async () => {
    const first = post(long(1, 5 * mib));
    await begins(1);
    const second = await post(long(2, 5 * mib));
    expect(second.head).toMatchObject({ statusCode: 429, headers: { 'retry-after': '1' } });
    expect(second.text).toContain('the messages of a caller hold 8388608 bytes at most');
    const short = post(long(3, 10 * 1024));
    await begins(2);
    waiting.resolve();
    expect([(await first).text, (await short).text]).toEqual(Array(2).fill(expect.stringContaining('"done":true')));
    expect((await post(long(4, 5 * mib))).text).toContain('"done":true');
  });

  it('is given back by those that are too long, odd or never come to their end', async () => {
    waiting.resolve();
    expect((await post(long(1, 9 * mib))).head.statusCode).toBe(413);
    expect((await post('x'.repeat(7 * mib))).head.statusCode).toBe(400);
    await new Promise<void>((done) => {
      const sent = httpRequest({ port, host: '127.0.0.1', path: '/mcp', method: 'POST', agent: false, headers: authorized() });
      sent.on('error', () => done());
      sent.write('x'.repeat(7 * mib), () => sent.destroy(new Error('gone')));
    });
    await expect.poll(async () => (await post(long(2, 7 * mib))).head.statusCode).toBe(200);
  });
});

it('a caller has so many connections at most, however many it begins at once', async () => {
  session = {};
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  gate = Promise.withResolvers();
  asked = 0;
  const posts = Array.from({ length: 40 }, (_, id) => post({ jsonrpc: '2.0', id, method: 'initialize', params }));
  await expect.poll(() => asked).toBe(40);
  gate.resolve();
  const answers = await Promise.all(posts);
  const statuses = answers.map(({ head }) => head.statusCode);
  // One was begun before each test.
  expect(statuses.filter((status) => status === 200)).toHaveLength(15);
  expect(statuses.filter((status) => status === 429)).toHaveLength(25);
  const [first] = answers.filter(({ head }) => head.statusCode === 200);
  session = { 'mcp-session-id': String(first?.head.headers['mcp-session-id']) };
  await leave();
  session = {};
  expect((await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params })).head.statusCode).toBe(200);
});
