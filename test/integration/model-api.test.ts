import { connect } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import { sayOnly } from '../helpers/say-only.ts';

/** The stand-in over real loopback sockets. */

let api: ModelApi;
const key = 'the-key';

beforeEach(async () => {
  api = await startModelApi({ expectedKey: key, script: sayOnly('Hello from the stand-in.') });
});

afterEach(async () => {
  await api.close();
});

function ask(path: string, body: unknown, headers: Record<string, string> = { 'x-api-key': key }) {
  return fetch(`${api.url}${path}`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers });
}

const message = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }], tools: [{ name: 'Bash' }] };

test('it answers whole and streamed', async () => {
  const whole = await ask('/v1/messages?beta=true', message);
  expect(await whole.json()).toMatchObject({
    type: 'message',
    content: [{ text: 'Hello from the stand-in.' }],
    stop_reason: 'end_turn',
  });
  const streamed = await ask('/v1/messages', { ...message, stream: true }, { authorization: `Bearer ${key}` });
  expect(streamed.headers.get('content-type')).toBe('text/event-stream');
  expect(await streamed.text()).toMatch(/^event: message_start\n[\s\S]*event: message_stop\ndata: .*\n\n$/);
  const count = await ask('/v1/messages/count_tokens', message);
  expect(await count.json()).toEqual({ input_tokens: expect.any(Number) });
});

test('another key is refused as the real API does', async () => {
  for (const headers of [{ 'x-api-key': 'other' }, { authorization: 'Bearer other' }, {}] as Record<string, string>[]) {
    const answer = await ask('/v1/messages', message, headers);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ type: 'error', error: { type: 'authentication_error' } });
  }
});

test('other paths and methods are not found, broken bodies are bad requests', async () => {
  expect((await fetch(`${api.url}/api/hello`, { method: 'HEAD' })).status).toBe(404);
  expect(await (await fetch(`${api.url}/v1/messages`)).json()).toMatchObject({ error: { type: 'not_found_error' } });
  expect((await ask('/v1/messages', '{')).status).toBe(400);
  expect((await ask('/v1/messages', {})).status).toBe(400);
});

test('it tells what was asked, without headers and bodies', async () => {
  await (await ask('/v1/messages', message)).text();
  await (await ask('/other', 'x', {})).text();
  expect(api.requests).toEqual([
    { method: 'POST', path: '/v1/messages', authorized: true, status: 200 },
    { method: 'POST', path: '/other', authorized: false, status: 404 },
  ]);
  expect(JSON.stringify(api.requests)).not.toContain(key);
});

test('a client that leaves in the middle of its body harms nobody', async () => {
  const socket = connect(api.port, '127.0.0.1');
  socket.write(`POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${key}\r\ncontent-length: 1000\r\n\r\nabc`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  expect((await ask('/v1/messages', message)).status).toBe(200);
});

test('it listens on loopback alone', () => {
  expect(api.url).toBe(`http://127.0.0.1:${api.port}`);
});
