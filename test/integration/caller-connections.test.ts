import { once } from 'node:events';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { answersIn, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';

/** Connections of callers over HTTP/1.1: what belongs to which request, and how they end. */

const host = 'keyed.example.com';
const hostLine = `Host: ${host}\r\n`;
const large = 6_000_000;
let lab: Lab;
let sink: Sink;
const waiting: (() => void)[] = [];
const whole: string[] = [];
let gone = 0;

const respond: Respond = (request, response, seen) => {
  response.once('close', () => {
    gone += response.writableFinished ? 0 : 1;
  });
  const answer = (): void => void response.end(`hello ${seen.url} ${seen.body}`);
  if (seen.url === '/wait') {
    waiting.push(answer);
  } else if (seen.url === '/large') {
    response.end(Buffer.alloc(large, 'x'));
  } else if (seen.url === '/none') {
    response.writeHead(204).end();
  } else {
    request.once('end', () => {
      whole.push(seen.url);
      answer();
    });
  }
};

beforeAll(async () => {
  lab = await createLab({ rules: [rule(host, { credential: 'anthropic' })], credentials: [credential()] });
  sink = await sinkAt(lab, host, 443, { respond });
});
afterAll(async () => {
  await lab.close();
  sink.close();
});

const open = async () => tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });

const until = async (isThere: () => boolean) => expect.poll(isThere, { timeout: 20_000 }).toBe(true);

async function underWay(): Promise<() => void> {
  await until(() => waiting.length > 0);
  const [go = () => undefined] = waiting.splice(0);
  return go;
}

test('what cannot be read behind a request under way leaves its answer whole, and is refused after it', async () => {
  const socket = await open();
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
  const ended = once(socket, 'end');
  socket.write(`GET /wait HTTP/1.1\r\n${hostLine}\r\nGET /b HTTP/1.1\r\nA : b\r\n\r\nGET /c HTTP/1.1\r\n${hostLine}\r\n`);
  const go = await underWay();
  expect(text).toBe('');
  go();
  await ended;
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*hello \/wait [\s\S]*HTTP\/1\.1 400 Bad Request\r\n/);
  expect(answersIn(text)).toBe(2);
  expect(sink.seen.some(({ url }) => url === '/b' || url === '/c')).toBe(false);
});

test('content that was sent ahead belongs to its own request', async () => {
  const socket = await open();
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
  const ended = once(socket, 'end');
  const content = `POST /one HTTP/1.1\r\n${hostLine}Content-Length: 5\r\n\r\nfirst`;
  const chunks = `POST /two HTTP/1.1\r\n${hostLine}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n`;
  socket.write(`GET /wait HTTP/1.1\r\n${hostLine}\r\n${content}${chunks}`);
  (await underWay())();
  await ended;
  expect(text).toMatch(/hello \/wait [\s\S]*hello \/one first[\s\S]*hello \/two second/);
  expect(answersIn(text)).toBe(3);
});

test('content that breaks off in the middle is no whole request, and the caller is told', async () => {
  const bytes = `POST /broken HTTP/1.1\r\n${hostLine}Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n`;
  const { text } = await talk(await open(), [bytes], { quietMs: 5000 });
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect(answersIn(text)).toBe(1);
  expect(whole).not.toContain('/broken');
});

test('an answer behind which the connection closes arrives whole at a caller who takes his time', async () => {
  const socket = await open();
  socket.pause();
  socket.write(`GET /large HTTP/1.1\r\n${hostLine}Connection: close\r\n\r\n`);
  const seen = sink.seen.length;
  await until(() => sink.seen.slice(0, seen + 1).some(({ url }) => url === '/large'));
  // More than the connection is read on for after its last answer.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  let bytes = 0;
  socket.on('data', (piece: Buffer) => (bytes += piece.length));
  socket.resume();
  await once(socket, 'end');
  expect(bytes).toBeGreaterThan(large);
});

test('HTTP/1.0 gets no chunks, and its connection ends with the answer; HEAD and 204 have no content', async () => {
  const old = await talk(await open(), [`GET /old HTTP/1.0\r\n${hostLine}\r\n`], { quietMs: 5000 });
  expect(old.text).toMatch(/connection: close\r\n\r\nhello \/old $/);
  const bare = `HEAD /head HTTP/1.1\r\n${hostLine}\r\nGET /none HTTP/1.1\r\n${hostLine}\r\nGET /last HTTP/1.1\r\n${hostLine}Connection: close\r\n\r\n`;
  const { text } = await talk(await open(), [bare], { quietMs: 5000 });
  const heads = text.split('\r\n\r\n').map((part) => part.slice(0, 12));
  expect(heads.slice(0, 3)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 200']);
  expect(text).toContain('hello /last');
});

test('a caller who goes takes his request with him', async () => {
  const socket = await open();
  socket.write(`GET /wait HTTP/1.1\r\n${hostLine}\r\n`);
  await underWay();
  const before = gone;
  socket.destroy();
  await until(() => gone > before);
});
