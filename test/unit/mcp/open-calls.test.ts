import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { expect, it } from 'vitest';
import { z } from 'zod';

import { createRate } from '../../../src/mcp/rate.ts';
import { createMcpServer, type McpParts } from '../../../src/mcp/server.ts';
import { tool } from '../../../src/mcp/tool.ts';

it('a caller has so many calls answered at one time, whatever they are and however they came', async () => {
  const released = Promise.withResolvers<void>();
  let begun = 0;
  const waits = tool({
    name: 'waits',
    title: 'Waits',
    about: 'waits',
    input: z.strictObject({}),
    output: z.strictObject({}),
    hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    async run() {
      begun += 1;
      await released.promise;
      return {};
    },
  });
  const rate = createRate({ pace: 1000 });
  // One caller with two connections, as over HTTP.
  const connected = async (): Promise<Client> => {
    const server = createMcpServer({ tools: [waits], rate } as unknown as McpParts);
    const [one, other] = InMemoryTransport.createLinkedPair();
    await server.connect(one);
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(other);
    return client;
  };
  const clients = [await connected(), await connected()];
  const call = async (client: Client | undefined): Promise<string> => {
    const { isError, content } = (await client?.callTool({ name: 'waits', arguments: {} })) ?? {};
    return isError === true ? JSON.stringify(content) : 'done';
  };
  const calls = clients.flatMap((client) => Array.from({ length: 40 }, async () => await call(client)));
  await expect.poll(() => begun).toBe(64);
  const refused = await Promise.all(calls.slice(64));
  expect(refused).toHaveLength(16);
  refused.forEach((text) => expect(text).toContain('TOO_MANY: 64 calls of this caller are being answered already'));
  await expect(clients[0]?.listTools()).rejects.toThrow('TOO_MANY');
  released.resolve();
  expect(new Set(await Promise.all(calls.slice(0, 64)))).toEqual(new Set(['done']));
  expect(await call(clients[0])).toBe('done');
});
