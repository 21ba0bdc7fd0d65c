import type { Readable, Writable } from 'node:stream';

import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';

import { createMcpServer, type McpParts } from './server.ts';

/** Serves one caller over standard input and output, where nothing but the protocol is written. */
export interface StdioOptions extends McpParts {
  readonly stdin: Readable;
  readonly stdout: Writable;
}

/** more than one message of any tool */
const maxMessageBytes = 8 * 1024 * 1024;

/** Resolves when the caller has closed its end; what it had under way is ended then, its sessions stay. */
export async function serveStdio({ stdin, stdout, ...parts }: StdioOptions): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = createMcpServer(parts);
  const ended = server.onclose;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the only way the SDK has
  server.onclose = () => {
    ended?.();
    resolve();
  };
  await server.connect(new StdioServerTransport(stdin, stdout, { maxBufferSize: maxMessageBytes }));
  const close = (): void => void server.close();
  stdin.once('end', close);
  stdin.once('close', close);
  await promise;
}
