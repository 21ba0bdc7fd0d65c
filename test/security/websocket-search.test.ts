/** SEC-07, GWP-18: WebSocket frames are parsed both ways; phantoms do not pass to other hosts, the key does not come back. */
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { canary, createLab, credential, listen, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { frame } from '../../src/proof/attacks/websocket-frame.ts';

let lab: Lab;
let web: Server;
let server: WebSocketServer;
let heard: string[] = [];
let upstream: Socket | undefined;

beforeAll(async () => {
  web = createServer();
  server = new WebSocketServer({ server: web, perMessageDeflate: true });
  server.on('connection', (socket, request) => {
    upstream = request.socket;
    socket.on('error', () => undefined);
    socket.on('ping', (data: Buffer) => heard.push(`ping ${data.toString('latin1')}`));
    socket.on('message', (data: Buffer, isBinary) => {
      heard.push(data.toString('latin1'));
      socket.send(data, { binary: isBinary });
    });
  });
  const port = await listen(web);
  const to = { upstream: `http://127.0.0.1:${port}` };
  lab = await createLab({
    rules: [rule('own.example.com', { ...to, credential: 'anthropic' }), rule('other.example.com', to)],
    credentials: [credential()],
  });
});
afterAll(async () => {
  await lab.close();
  server.close();
  web.close();
});
beforeEach(async () => {
  await lab.settled();
  heard = [];
  lab.entries.length = 0;
});

async function dial(host: string): Promise<WebSocket> {
  const port = await lab.open(host, 443);
  const client = new WebSocket(`wss://${host}/live`, {
    ca: lab.authority.certificatePem,
    createConnection: (options: object) => tlsConnect({ ...options, host: '127.0.0.1', port, servername: host }),
  });
  client.on('error', () => undefined);
  await new Promise((resolve) => client.once('open', resolve));
  return client;
}

function closed(client: WebSocket): Promise<void> {
  return new Promise((resolve) => void client.once('close', () => resolve()));
}

async function echoed(client: WebSocket, send: () => void): Promise<string> {
  const answer = new Promise<string>((resolve) => client.once('message', (data: Buffer) => resolve(data.toString('latin1'))));
  send();
  return answer;
}

describe('a host that does not own the key', () => {
  test('the control: messages pass both ways, compressed by nobody', async () => {
    const client = await dial('other.example.com');
    expect(client.extensions).toBe('');
    expect(await echoed(client, () => client.send('hello'))).toBe('hello');
    client.terminate();
  });

  test.each<[string, (client: WebSocket) => void]>([
    ['one message', (client) => client.send(`x ${phantom}`)],
    ['a binary one', (client) => client.send(Buffer.from(phantom))],
    [
      'fragments',
      (client) => {
        client.send(phantom.slice(0, 20), { fin: false });
        client.send(phantom.slice(20), { fin: true });
      },
    ],
    ['a ping', (client) => client.ping(phantom)],
  ])('gets no phantom in %s: the connection is cut, and an alarm is on record', async (_where, send) => {
    const client = await dial('other.example.com');
    send(client);
    await closed(client);
    await lab.settled();
    expect(heard.join(' ')).not.toContain(phantom.slice(0, 24));
    expect(
      lab
        .actions()
        .filter((line) => line.includes('misplaced'))
        .toSorted(),
    ).toEqual([
      'alarm.phantom-misplaced deny phantom-misplaced other.example.com:443',
      'net.exchange allow phantom-misplaced other.example.com:443',
    ]);
  });
});

describe('the host that owns it', () => {
  test('gets it made unreadable, and the connection goes on', async () => {
    const client = await dial('own.example.com');
    expect(await echoed(client, () => client.send(`x ${phantom}`))).toBe(`x ${'*'.repeat(phantom.length)}`);
    expect(await echoed(client, () => client.send('still here'))).toBe('still here');
    client.terminate();
  });

  test('cannot send the key back, in one message or in fragments', async () => {
    const client = await dial('own.example.com');
    const messages: string[] = [];
    client.on('message', (data: Buffer) => messages.push(data.toString('latin1')));
    upstream?.write(frame({ code: 1, content: Buffer.from(canary.slice(0, 9)), isFinal: false }));
    await lab.settled();
    upstream?.write(frame({ code: 0, content: Buffer.from(canary.slice(9)) }));
    upstream?.write(frame({ code: 1, content: Buffer.from(canary) }));
    await expect.poll(() => messages.length).toBe(2);
    expect(messages).toEqual(['*'.repeat(canary.length), '*'.repeat(canary.length)]);
    client.terminate();
  });

  test.each([
    ['a masked frame', frame({ code: 1, content: Buffer.from('x'), key: Buffer.alloc(4, 1) })],
    ['a compressed frame', frame({ code: 1, content: Buffer.from('x'), reserved: 4 })],
    ['bytes that are no frames', Buffer.from('HTTP/1.1 200 OK\r\n\r\n')],
  ])('ends the connection by sending %s', async (_what, bytes) => {
    const client = await dial('own.example.com');
    upstream?.write(bytes);
    await closed(client);
    await lab.settled();
    expect(client.readyState).toBe(WebSocket.CLOSED);
    expect(lab.actions().at(-1)).toBe('net.exchange allow frames-unreadable own.example.com:443');
  });
});
