/** What callers over HTTP do at one moment, or leave half done: it is counted once, and they are told. */
import { request as httpRequest, type ClientRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { CallerClaim } from '../../src/daemon/caller-view.ts';
import type { Listener } from '../../src/mcp/http-listener.ts';
import { serveHttp, type HttpOptions } from '../../src/mcp/serve-http.ts';
import { unusedPort } from '../helpers/unused-port.ts';

const claim: CallerClaim = { name: 'ada', roots: ['/p'], token: '0'.repeat(64) };
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

let listener: Listener;
let port: number;
/** asked for each request */
let find: () => Promise<CallerClaim | undefined>;

beforeEach(async () => {
  port = await unusedPort();
  find = async () => claim;
  listener = await serveHttp({
    port,
    tools: [],
    findCaller: async () => await find(),
    stillHolds: async () => true,
    partsOf: () => ({}) as ReturnType<HttpOptions['partsOf']>,
  });
});

afterEach(async () => {
  await listener.close();
});

/** Without a body it is the test that sends one. */
function send(body?: string, path = '/mcp'): { readonly sent: ClientRequest; readonly status: Promise<number> } {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = {
    authorization: 'Bearer 0123456789abcdef',
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  const sent = httpRequest({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false }, (response) => {
    resolve(response.statusCode ?? 0);
    response.resume();
  });
  sent.on('error', reject);
  if (body !== undefined) {
    sent.end(body);
  }
  promise.catch(() => undefined);
  return { sent, status: promise };
}

describe('callers over HTTP', () => {
  it('that hang up while the daemon is asked who they are keep nobody out', async () => {
    const known = Promise.withResolvers<CallerClaim>();
    let asked = 0;
    find = async () => {
      asked += 1;
      return await known.promise;
    };
    const gone = Array.from({ length: 64 }, () => send('{}').sent);
    await expect.poll(() => asked).toBe(64);
    await Promise.all(gone.map(async (sent) => await new Promise((resolve) => sent.once('close', resolve).destroy())));
    // The server has seen those ends by the time it answers what came after them.
    expect(await send('', '/other').status).toBe(404);
    known.resolve(claim);
    find = async () => claim;
    expect(await send('{}').status).toBe(400);
  });

  it('have as many connections as may be, however many begin at one moment', async () => {
    const body = JSON.stringify(initialize);
    const head = [
      'POST /mcp HTTP/1.1',
      `host: 127.0.0.1:${port}`,
      'authorization: Bearer 0123456789abcdef',
      'content-type: application/json',
      'accept: application/json, text/event-stream',
      `content-length: ${body.length}`,
    ];
    const socket = connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (piece: Buffer) => {
      said += piece.toString('latin1');
    });
    // One after the other in one piece: the server reads them in one turn. What it refuses ends the connection.
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`.repeat(30));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(said.match(/^HTTP\/1\.1 \d+/gm)).toEqual([...Array.from({ length: 16 }, () => 'HTTP/1.1 200'), 'HTTP/1.1 429']);
  });

  it('that send too much are told so, when they have sent it', async () => {
    const { sent, status } = send();
    const piece = Buffer.alloc(256 * 1024, 0x61);
    const write = async (): Promise<void> => {
      for (let count = 0; count < 60; count += 1) {
        await new Promise((resolve) => sent.write(piece, resolve));
      }
      sent.end();
    };
    // A write is never told of where the server hangs up.
    expect(await Promise.race([status, write().then(async () => await status)])).toBe(413);
    expect(await send('{}').status).toBe(400);
  });
});
