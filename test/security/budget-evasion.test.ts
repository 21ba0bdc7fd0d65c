import { createServer } from 'node:http';
import { connect as tlsConnect } from 'node:tls';

import { afterEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { memoryLedger, type Ledger } from '../../src/gateway/guards/ledger.ts';
import { createLab, credential, listen, phantom, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { budget, guarding } from '../helpers/guarding.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** The threat: a sandbox that uses a model and keeps its use out of the count, by its path, by leaving, or by what it asks for. */

const host = 'api.example.com';
let lab: Lab;
let ledger: Ledger;
let ends: (() => unknown)[] = [];
afterEach(async () => {
  ends.forEach((end) => end());
  ends = [];
  await lab.close();
});

interface Answer {
  readonly type: string;
  readonly text: string;
  /** nothing of it comes */
  readonly isSilent?: boolean;
}

const json: Answer = {
  type: 'application/json',
  text: JSON.stringify({ model: 'claude-opus-4-5', usage: { input_tokens: 1000, output_tokens: 2000 } }),
};

async function start(answer: Answer = json): Promise<Sink> {
  ledger = memoryLedger();
  lab = await createLab({
    rules: [rule(host, { credential: 'anthropic' })],
    credentials: [credential()],
    sandbox: { guarding: guarding({ ledger, rules: { budgets: [budget({ tokens: 100_000 })] } }) },
  });
  const sink = await sinkAt(lab, host, 443, {
    respond(request, response) {
      request.on('end', () => {
        if (answer.isSilent !== true) {
          response.writeHead(200, { 'content-type': answer.type });
          response.end(answer.text);
        }
      });
    },
  });
  ends = [() => sink.close()];
  return sink;
}

async function ask(path: string, body: string, quietMs = 3000): Promise<string> {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/json\r\nx-api-key: ${phantom}\r\n`;
  const answer = await talk(socket, [`${head}Content-Length: ${body.length}\r\n\r\n${body}`], { quietMs });
  socket.destroy();
  await lab.settled();
  return answer.text;
}

const used = (): number => ledger.used({ sandboxId, credential: undefined, per: 'life' }, Date.now()).tokens;

test.each([
  '/v1/messages',
  '/v1/messages?beta=true',
  '/v1/%6Dessages',
  '/v1/%6dessage%73',
  '/v1/messages/',
  '/v1//messages',
  '/v1/./messages',
  '/V1/Messages',
  '/v1/messages;x=y',
  '/v1/complete',
  '/v1/messages%2f',
  '/v1/%256dessages',
])('an interface is counted under the address %s', async (path) => {
  await start();
  expect(await ask(path, '{"model":"claude-opus-4-5"}')).toMatch(/^HTTP\/1\.1 200 /);
  expect(used()).toBe(3000);
});

test('who leaves before the answer begins has used what went in, and what a model writes in that time', async () => {
  const sink = await start({ ...json, isSilent: true });
  const body = JSON.stringify({ model: 'claude-opus-4-5', max_tokens: 50_000, messages: 'x'.repeat(4000) });
  await ask('/v1/messages', body, 1000);
  expect(sink.seen).toHaveLength(1);
  expect(used()).toBeGreaterThan(1000);
  expect(used()).toBeLessThan(5000);
});

test('who leaves an answer before its count has used what came of it', async () => {
  const text = JSON.stringify({ model: 'gpt-5.1', choices: [{ message: { content: 'word '.repeat(4000) } }] });
  await start({ type: 'application/json', text: text.slice(0, -2) });
  await ask('/v1/chat/completions', JSON.stringify({ model: 'gpt-5.1', messages: 'x'.repeat(400) }));
  expect(used()).toBeGreaterThan(5000);
});

test.each([
  ['/v1/messages/batches', '{"requests":[]}'],
  ['/v1/%6Dessages//batches/', '{"requests":[]}'],
  ['/v1/batches', '{"input_file_id":"a"}'],
  ['/openai/batches?api-version=1', '{}'],
  ['/v1beta/models/gemini-3-pro:batchGenerateContent', '{}'],
  ['/v1/threads/t1/runs', '{}'],
  ['/v1/responses', '{"input":"x","background":true}'],
  ['/v1/responses', `{"input":"x","background":${' '.repeat(5000)}true}`],
])('what is done later, and counted in no answer, is refused where tokens are counted: %s', async (path, body) => {
  const sink = await start();
  expect(await ask(path, body)).toMatch(/^HTTP\/1\.1 403 [\s\S]*cannot be counted/);
  expect(sink.seen.map((one) => one.body).join('')).not.toContain('}');
  await lab.close();
  lab = await createLab({
    rules: [rule(host, { credential: 'anthropic' })],
    credentials: [credential()],
    sandbox: {
      guarding: guarding({ rules: { budgets: [budget({ requests: 10 }), budget({ tokens: 10 }, { credential: 'other' })] } }),
    },
  });
  const free = await sinkAt(lab, host, 443);
  expect(await ask(path, body)).toMatch(/^HTTP\/1\.1 200 /);
  free.close();
});

test('a stream that was asked to keep its count to itself is counted by what went in and what came', async () => {
  const piece = `data: ${JSON.stringify({ model: 'gpt-5.1', choices: [{ delta: { content: 'word '.repeat(160) } }] })}\n\n`;
  await start({ type: 'text/event-stream', text: `${piece}data: [DONE]\n\n` });
  const body = JSON.stringify({ model: 'gpt-5.1', stream: true, messages: 'x'.repeat(8000) });
  await ask('/v1/chat/completions', body);
  expect(used()).toBeGreaterThan(2000);
});

test.each([
  '/v1/responses',
  '/v1/realtime?model=gpt-realtime',
  '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent',
])('over WebSocket who leaves before the count comes has used what came: %s', async (path) => {
  const web = createServer();
  const server = new WebSocketServer({ server: web });
  const delta = JSON.stringify({ type: 'response.output_text.delta', delta: 'word '.repeat(1600) });
  server.on('connection', (socket) => socket.on('message', () => socket.send(delta)));
  ledger = memoryLedger();
  lab = await createLab({
    rules: [rule(host, { credential: 'anthropic', upstream: `http://127.0.0.1:${await listen(web)}` })],
    credentials: [credential()],
    sandbox: { guarding: guarding({ ledger, rules: { budgets: [budget({ tokens: 100_000 })] } }) },
  });
  ends = [() => server.close(), () => web.close()];
  const port = await lab.open(host, 443);
  const client = new WebSocket(`wss://${host}${path}`, {
    ca: lab.authority.certificatePem,
    createConnection: () => tlsConnect({ host: '127.0.0.1', port, servername: host, ca: lab.authority.certificatePem }),
    headers: { 'x-api-key': phantom },
  });
  client.on('error', () => undefined);
  client.on('open', () => client.send(JSON.stringify({ type: 'response.create', input: 'x'.repeat(4000) })));
  await new Promise((resolve) => client.on('message', resolve));
  client.terminate();
  await lab.settled();
  expect(used()).toBeGreaterThan(1500);
});
