import { createServer as createHttpServer } from 'node:http';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import { canary, createLab, credential, listen, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await createLab({ rules: [rule('plain.example.com', { ports: [80] })] });
});
afterAll(() => lab.close());

describe('WebSocket', () => {
  test('is relayed after a valid handshake, with the key, text and binary both ways', async () => {
    const web = createHttpServer();
    const server = new WebSocketServer({ server: web });
    let headers: Record<string, unknown> = {};
    server.on('connection', (socket, request) => {
      headers = request.headers;
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const port = await listen(web);
    const own = await createLab({
      rules: [rule('ws.example.com', { credential: 'anthropic', upstream: `http://127.0.0.1:${port}` })],
      credentials: [credential()],
    });
    const target = await own.open('ws.example.com', 443);
    const client = new WebSocket('wss://ws.example.com/live', {
      ca: own.authority.certificatePem,
      createConnection: (options: object) => httpsSocket(target, options),
      headers: { 'x-api-key': phantom },
    });
    const messages: string[] = [];
    await new Promise<void>((resolve, reject) => {
      client.on('open', () => {
        client.send('hello');
        client.send(Buffer.from([1, 2, 3]));
        client.send(`echo ${canary}`);
      });
      client.on('message', (data: Uint8Array) => {
        messages.push(Buffer.from(data).toString('latin1'));
        if (messages.length === 3) {
          client.close();
        }
      });
      client.on('close', () => resolve());
      client.on('error', reject);
    });
    expect(messages).toEqual(['hello', '\x01\x02\x03', `echo ${'*'.repeat(canary.length)}`]);
    expect(headers['x-api-key']).toBe(canary);
    expect(headers['sec-websocket-extensions']).toBeUndefined();
    await own.settled();
    expect(own.actions()).toEqual(['net.open allow ok ws.example.com:443', 'net.exchange allow ok ws.example.com:443']);
    await own.close();
    server.close();
    web.close();
  });

  const handshake =
    'GET /live HTTP/1.1\r\nHost: plain.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

  test.each([
    ['no accept value', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    [
      'a wrong accept value',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n',
    ],
    [
      'another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    ],
    ['no protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n'],
  ])('is not relayed after an answer with %s', async (_what, answer) => {
    const { createServer } = await import('node:net');
    const heard: string[] = [];
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
      socket.on('data', (piece) => heard.push(piece.toString('latin1')));
      socket.write(answer);
    });
    lab.route('plain.example.com', 80, await listen(server));
    const socket = await rawConnect(await lab.open('plain.example.com', 80));
    setTimeout(() => socket.write('RAW-AFTER-UPGRADE'), 200);
    const got = await talk(socket, [handshake], { quietMs: 500 });
    expect(got.text).toMatch(/^HTTP\/1\.1 502 /);
    expect(heard.join('')).not.toContain('RAW-AFTER-UPGRADE');
    // What the other side thinks is switched is not used for a further request.
    const further = handshake.replace('/live', '/further');
    await talk(await rawConnect(await lab.open('plain.example.com', 80)), [further], { quietMs: 500 });
    expect(heard.find((text) => text.includes('/further'))).toMatch(/^GET \/further /);
    expect(connections).toBe(2);
    server.close();
  });

  test('a message that comes in one piece with the switch is not lost', async () => {
    const { createServer } = await import('node:net');
    const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(`${answer}\x81\x05first`, 'latin1'));
    });
    lab.route('plain.example.com', 80, await listen(server));
    const got = await talk(await rawConnect(await lab.open('plain.example.com', 80)), [handshake], { quietMs: 500 });
    expect(got.text).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\n\x81\x05first$/);
    server.close();
  });

  test('that cannot be carried out by a fault of the gateway has its end on record, and one too many is refused', async () => {
    const rules = [rule('plain.example.com', { ports: [80] })];
    const broken = await createLab({
      rules,
      gateway: {
        dial: () => {
          throw new Error('no socket');
        },
      },
    });
    const got = await talk(await rawConnect(await broken.open('plain.example.com', 80)), [handshake]);
    expect(got.text).not.toContain('101');
    await broken.settled();
    expect(broken.actions()).toEqual([
      'net.open allow ok plain.example.com:80',
      'net.exchange allow gateway-fault plain.example.com:80',
    ]);
    await broken.close();
    const full = await createLab({ rules, gateway: { limits: { exchanges: 0 } } });
    const refused = await talk(await rawConnect(await full.open('plain.example.com', 80)), [handshake]);
    expect(refused.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*too-busy/);
    await full.close();
  });

  test('an upstream that answers 404 to the upgrade is an ordinary answer', async () => {
    const plain = await sinkAt(lab, 'plain.example.com', 80, {
      plain: true,
      respond: (_request, response) => {
        response.writeHead(404);
        response.end('none');
      },
    });
    const got = await talk(await rawConnect(await lab.open('plain.example.com', 80)), [handshake]);
    expect(got.text).toMatch(/^HTTP\/1\.1 404 [\s\S]*none/);
    plain.close();
  });
});

function httpsSocket(port: number, options: object): TLSSocket {
  return tlsConnect({ ...options, host: '127.0.0.1', port, servername: 'ws.example.com' });
}
