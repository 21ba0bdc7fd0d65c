import { createServer as createHttpServer, type IncomingMessage } from 'node:http';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { afterEach, expect, test } from 'vitest';

import type { McpAllowance } from '../../src/policy/policy.ts';
import { createLab, listen, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';

/** MCP over HTTP under rules about tools, with the protocol's own client and server. */

const host = 'mcp.example.com';
let lab: Lab;
let ends: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.allSettled(ends.map((end) => end()));
  ends = [];
  await lab.close();
});

interface Place {
  readonly client: Client;
  readonly called: string[];
  readonly port: number;
  readonly bodies: string[];
}

async function connect(mcp: McpAllowance): Promise<Place> {
  const called: string[] = [];
  const bodies: string[] = [];
  const server = new McpServer({ name: 'test', version: '1' });
  for (const tool of ['read_file', 'write_file']) {
    server.registerTool(tool, { description: tool }, async () => {
      called.push(tool);
      return { content: [{ type: 'text', text: `did ${tool}` }] };
    });
  }
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => 'session-1' });
  await server.connect(transport);
  const web = createHttpServer((request: IncomingMessage, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      bodies.push(body);
      void transport.handleRequest(request, response, body === '' ? undefined : JSON.parse(body));
    });
  });
  lab = await createLab({ rules: [rule(host, { ports: [80], mcp })] });
  lab.route(host, 80, await listen(web));
  const port = await lab.open(host, 80);
  const client = new Client({ name: 'test', version: '1' });
  ends = [() => client.close(), () => server.close(), () => web.closeAllConnections(), () => web.close()];
  const fetchThere = (url: string | URL, init?: RequestInit): Promise<Response> => overSocket(port, url, init);
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://${host}${mcp.path}`), { fetch: fetchThere }));
  return { client, called, port, bodies };
}

/** `fetch` to a loopback port under the name of the host: the one of Node sets no other `Host`. */
async function overSocket(port: number, url: string | URL, init: RequestInit = {}): Promise<Response> {
  const { request } = await import('node:http');
  const { Readable } = await import('node:stream');
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port,
        path: new URL(url).pathname,
        method: init.method ?? 'GET',
        headers: { ...Object.fromEntries(new Headers(init.headers)), host },
        signal: init.signal ?? undefined,
      },
      (answer) => {
        const hasContent = answer.statusCode !== 202 && answer.statusCode !== 204;
        const body = hasContent ? (Readable.toWeb(answer) as ReadableStream) : null;
        resolve(new Response(body, { status: answer.statusCode ?? 500, headers: answer.headers as Record<string, string> }));
      },
    );
    asked.on('error', reject);
    asked.end(init.body ?? undefined);
  });
}

test('a session is opened, tools are listed, a named one is called; another one never reaches the server', async () => {
  const { client, called, bodies } = await connect({ path: '/mcp', tools: ['read_*'], methods: undefined });
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['read_file', 'write_file']);
  expect(await client.callTool({ name: 'read_file' })).toMatchObject({ content: [{ text: 'did read_file' }] });
  await expect(client.callTool({ name: 'write_file' })).rejects.toThrow(/do not allow the tool write_file of this server/);
  expect(called).toEqual(['read_file']);
  expect(bodies.join('')).not.toContain('write_file');
  expect(lab.lastDenial()).toMatchObject({ outcome: 'content-not-allowed', detail: { asked: 'tools/call write_file' } });
});

test('a batch is judged call by call, and what no reader would read alike is refused', async () => {
  const { called, port, bodies } = await connect({ path: '/mcp', tools: ['read_file'], methods: undefined });
  const call = (name: string): object => ({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name, arguments: {} } });
  const post = async (content: string, fields = ''): Promise<string> => {
    const head = `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Session-Id: session-1\r\nConnection: close\r\n${fields}`;
    return (await talk(await rawConnect(port), [`${head}Content-Length: ${content.length}\r\n\r\n${content}`], { quietMs: 5000 }))
      .text;
  };
  const sent = (): number => bodies.filter((body) => body !== '').length;
  const before = sent();
  expect(await post(JSON.stringify([call('read_file'), call('write_file')]))).toContain('403');
  expect(await post('{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"write_file"}}')).toContain(
    '415',
  );
  expect(await post('{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"write_file"}}')).toContain('415');
  expect(await post(JSON.stringify(call('read_file')), 'Content-Encoding: gzip\r\n')).toMatch(/HTTP\/1.1 4\d\d/);
  expect(sent()).toBe(before);
  expect(called).toEqual([]);
});

test('other paths of the host are not there', async () => {
  const { port } = await connect({ path: '/mcp', tools: undefined, methods: undefined });
  const { text } = await talk(await rawConnect(port), [`GET /admin HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`], {
    quietMs: 5000,
  });
  expect(text).toContain('403');
});
