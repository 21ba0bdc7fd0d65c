import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openUsageLedger } from '../../src/sandbox/stored/usage-ledger.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';

import { WebSocket, WebSocketServer } from 'ws';

import { createLab, credential, listen, phantom, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { budget, guarding } from '../helpers/guarding.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** Budgets on real sockets: tokens are read from the answers as they pass, and what is past a budget is a 429 that says so. */

const host = 'api.example.com';
const event = (value: object): string => `event: x\ndata: ${JSON.stringify(value)}\n\n`;
const start = event({
  type: 'message_start',
  message: { model: 'claude-opus-4-5', usage: { input_tokens: 1000, cache_read_input_tokens: 100, output_tokens: 1 } },
});
const end = event({ type: 'message_delta', usage: { output_tokens: 2000 } });
// 1000 × 5 + 100 × 0.5 + 2000 × 25, in millionths of a dollar
const spend = 55_050;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-budgets-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface World {
  readonly lab: Lab;
  readonly sink: Sink;
  /** resolves the answers that wait for it */
  readonly goOn: () => void;
}

async function world(limits: Parameters<typeof budget>[0], options: { waits?: boolean; file?: string } = {}): Promise<World> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const ledger = openUsageLedger(options.file ?? ':memory:');
  const lab = await createLab({
    rules: [rule(host, { credential: 'anthropic' }), rule('other.example.com', { http: [{ methods: undefined, path: '/**' }] })],
    credentials: [credential()],
    sandbox: { guarding: guarding({ ledger, rules: { budgets: [budget(limits)] } }) },
  });
  const sink = await sinkAt(lab, host, 443, {
    respond(request, response) {
      const finish = async (): Promise<void> => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(start);
        await (options.waits === true ? promise : undefined);
        response.end(end);
      };
      request.on('end', () => void finish());
    },
  });
  await sinkAt(lab, 'other.example.com', 443);
  return { lab, sink, goOn: resolve };
}

async function ask(
  { lab }: World,
  { to = host, body = '{"model":"claude-opus-4-5","max_tokens":100,"stream":true}', path = '/v1/messages' } = {},
) {
  const socket = await tlsTo(await lab.open(to, 443), to, { ca: lab.authority.certificatePem });
  const head = `POST ${path} HTTP/1.1\r\nHost: ${to}\r\nConnection: close\r\nContent-Type: application/json\r\nx-api-key: ${to === host ? phantom : ''}\r\n`;
  return (await talk(socket, [`${head}Content-Length: ${body.length}\r\n\r\n${body}`], { quietMs: 3000 })).text;
}

async function close({ lab, sink }: World): Promise<void> {
  sink.close();
  await lab.close();
}

describe('spend', () => {
  test('is read from a streamed answer, recorded, and refused as a 429 once it is past', async () => {
    const one = await world({ spendMicros: 100_000 });
    expect(await ask(one)).toMatch(/^HTTP\/1\.1 200 [\s\S]*message_delta/);
    expect(await ask(one)).toMatch(/^HTTP\/1\.1 200 /);
    const refused = await ask(one);
    expect(refused).toMatch(/^HTTP\/1\.1 429 [\s\S]*x-casemate-denied: budget-exceeded[\s\S]*x-should-retry: false/);
    const error = JSON.parse(refused.slice(refused.indexOf('{'))) as { type: string; error: Record<string, string> };
    expect(error).toMatchObject({ type: 'error', error: { type: 'rate_limit_error', code: 'budget-exceeded' } });
    expect(error.error['message']).toContain('budget of this sandbox of 0.10 US dollars is used up (0.11 used)');
    expect(one.sink.seen).toHaveLength(2);
    await one.lab.settled();
    const ended = one.lab.entries.filter((entry) => entry.action === 'net.exchange' && entry.decision === 'allow');
    expect(ended[0]?.detail).toMatchObject({
      model: 'claude-opus-4-5',
      inputTokens: 1000,
      cacheReadTokens: 100,
      outputTokens: 2000,
      spendMicros: spend,
      account: 'anthropic',
    });
    expect(one.lab.entries.filter((entry) => entry.outcome === 'budget-exceeded')).toHaveLength(1);
    await close(one);
  });

  test('what is no model is not held back by it', async () => {
    const one = await world({ spendMicros: 1 });
    await ask(one);
    expect(await ask(one)).toMatch(/^HTTP\/1\.1 429 /);
    expect(await ask(one, { to: 'other.example.com', path: '/x' })).toMatch(/^HTTP\/1\.1 200 /);
    await close(one);
  });

  test('of parallel requests one is let past what is left, and no more', async () => {
    const one = await world({ spendMicros: 1000 }, { waits: true });
    const answers = Promise.all(Array.from({ length: 6 }, () => ask(one)));
    await new Promise((resolve) => setTimeout(resolve, 400));
    one.goOn();
    const statuses = (await answers).map((answer) => answer.slice(9, 12)).toSorted();
    expect(statuses).toEqual(['200', '429', '429', '429', '429', '429']);
    expect(one.sink.seen.filter(({ body }) => body.endsWith('}'))).toHaveLength(1);
    await close(one);
  });

  test('the first event of an answer is not held back', async () => {
    const one = await world({ spendMicros: 1_000_000 }, { waits: true });
    const socket = await tlsTo(await one.lab.open(host, 443), host, { ca: one.lab.authority.certificatePem });
    const first = new Promise<string>((resolve) =>
      socket.on('data', (piece) => String(piece).includes('message_start') && resolve('came')),
    );
    const body = '{"model":"claude-opus-4-5"}';
    socket.write(`POST /v1/messages HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    expect(await first).toBe('came');
    one.goOn();
    socket.destroy();
    await close(one);
  });

  test('it outlives the process that counted it', async () => {
    const file = join(folder, 'usage.sqlite');
    const first = await world({ spendMicros: 50_000 }, { file });
    await ask(first);
    // Nothing is closed: as after a kill.
    const second = await world({ spendMicros: 50_000 }, { file });
    expect(await ask(second)).toMatch(/^HTTP\/1\.1 429 /);
    expect(second.sink.seen).toHaveLength(0);
    await close(first);
    await close(second);
  });
});

test('requests and bytes: the control passes, the next one does not', async () => {
  const one = await world({ requests: 1 });
  expect(await ask(one)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await ask(one)).toMatch(/^HTTP\/1\.1 429 /);
  expect(one.sink.seen).toHaveLength(1);
  await close(one);
  const two = await world({ bytesOut: 100 });
  expect(await ask(two, { to: 'other.example.com', path: '/x', body: 'x'.repeat(90) })).toMatch(/^HTTP\/1\.1 200 /);
  expect(await ask(two, { to: 'other.example.com', path: '/x', body: 'x'.repeat(20) })).toMatch(/^HTTP\/1\.1 429 /);
  await close(two);
});

test('over WebSocket each answer counts as it is told, and the connection ends once it is past', async () => {
  const web = createServer();
  const server = new WebSocketServer({ server: web });
  const completed = {
    type: 'response.completed',
    response: { model: 'gpt-5.1', usage: { input_tokens: 10, output_tokens: 60 } },
  };
  server.on('connection', (socket) => socket.on('message', () => socket.send(JSON.stringify(completed))));
  const upstream = `http://127.0.0.1:${await listen(web)}`;
  const ledger = openUsageLedger(':memory:');
  const lab = await createLab({
    rules: [rule(host, { credential: 'anthropic', upstream })],
    credentials: [credential()],
    sandbox: { guarding: guarding({ ledger, rules: { budgets: [budget({ outputTokens: 100 })] } }) },
  });
  const port = await lab.open(host, 443);
  const client = new WebSocket(`wss://${host}/v1/responses`, {
    ca: lab.authority.certificatePem,
    createConnection: () => tlsConnect({ host: '127.0.0.1', port, servername: host, ca: lab.authority.certificatePem }),
    headers: { 'x-api-key': phantom },
  });
  let answers = 0;
  client.on('open', () => client.send('{}'));
  client.on('message', () => {
    answers += 1;
    client.send('{}');
  });
  client.on('error', () => undefined);
  await new Promise((resolve) => client.on('close', resolve));
  await lab.settled();
  expect(answers).toBeLessThanOrEqual(2);
  expect(ledger.used({ sandboxId, credential: undefined, per: 'life' }, Date.now()).outputTokens).toBe(120);
  expect(lab.entries.some(({ decision, outcome }) => decision === 'deny' && outcome === 'budget-exceeded')).toBe(true);
  server.close();
  web.close();
  await lab.close();
});
