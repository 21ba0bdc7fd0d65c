/** `casemate mcp serve` as a process of its own, with callers that have tokens, and the SDK's client for each. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';

import { entry, type Home } from './cli.ts';
import { textOf } from './mcp-client.ts';
import { unusedPort } from './unused-port.ts';

export interface McpHttp {
  readonly url: URL;
  /** The token of a new caller; its root is a folder of its name below the home. */
  readonly add: (name: string, ...args: readonly string[]) => Promise<string>;
  readonly rootOf: (name: string) => string;
  readonly connected: (token: string) => Promise<Client>;
  readonly call: (client: Client, name: string, args?: object) => Promise<CallToolResult>;
  /** The structured answer; throws `CODE: message` where the tool failed. */
  readonly structured: (client: Client, name: string, args?: object) => Promise<Record<string, unknown>>;
  readonly post: (headers: Readonly<Record<string, string>>, body?: unknown, path?: string) => Promise<HttpAnswer>;
  readonly close: () => Promise<void>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** `more`: further arguments of `mcp serve` */
export async function startMcpHttp(home: Home, more: readonly string[] = []): Promise<McpHttp> {
  const port = await unusedPort();
  const url = new URL(`http://127.0.0.1:${port}/mcp`);
  const args = [entry, 'mcp', 'serve', '--port', String(port), ...more];
  const server = spawn(process.execPath, args, { cwd: home.project, env: home.env });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (piece: Buffer) => {
      said += piece.toString('utf8');
      if (said.includes('/mcp')) {
        resolve();
      }
    });
    server.once('exit', () => reject(new Error(said)));
  });
  const clients: Client[] = [];
  const rootOf = (name: string): string => join(home.root, name);
  const call: McpHttp['call'] = async (client, name, args = {}) =>
    (await client.callTool({ name, arguments: { ...args } }, undefined, { timeout: 120_000 })) as CallToolResult;
  return {
    url,
    rootOf,
    call,
    async add(name, ...args) {
      await mkdir(rootOf(name), { recursive: true });
      const { code, out, err } = await home.casemate(['caller', 'add', name, '--root', rootOf(name), ...args]);
      if (code !== 0) {
        throw new Error(err);
      }
      return out.trim();
    },
    async connected(token) {
      const client = new Client({ name: 'test', version: '1' });
      await client.connect(
        new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${token}` } } }),
      );
      clients.push(client);
      return client;
    },
    async structured(client, name, args) {
      const answer = await call(client, name, args);
      if (answer.isError === true) {
        throw new Error(textOf(answer));
      }
      return answer.structuredContent ?? {};
    },
    post: async (headers, body = { jsonrpc: '2.0', id: 1, method: 'ping' }, path = '/mcp') =>
      await new Promise<HttpAnswer>((resolve, reject) => {
        const sent = httpRequest(
          {
            host: '127.0.0.1',
            port,
            path,
            method: 'POST',
            headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
          },
          (response) => {
            let text = '';
            response.on('data', (piece: Buffer) => (text += piece.toString('utf8')));
            response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
          },
        );
        sent.on('error', reject);
        sent.end(typeof body === 'string' ? body : JSON.stringify(body));
      }),
    async close() {
      await Promise.all(clients.map(async (client) => await client.close()));
      server.kill('SIGTERM');
      await once(server, 'exit');
    },
  };
}
