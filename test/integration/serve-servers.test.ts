import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';

import { serveServers } from '../../src/daemon/serve-servers.ts';
import type { LocalRecord } from '../../src/gateway/local-names.ts';
import type { Sandboxes } from '../../src/sandbox/sandboxes.ts';
import { call, sandboxLab } from '../helpers/sandbox-lab.ts';

const record: LocalRecord = { effect: async () => true, deny: async () => undefined, note: () => undefined };

it.each([
  ['a program that ends by itself has nothing of its own ended later', 'true', 0],
  ['one that goes on when its connection has ended is ended, once', 'exec sleep 60', 1],
])('of a server: %s', async (_, line, expected) => {
  const lab = await sandboxLab();
  const { id } = await lab.make({ name: 'work', servers: ['docs'] });
  await lab.sandboxes.start('work', call);
  let killed = 0;
  const sandboxes: Sandboxes = {
    ...lab.sandboxes,
    async open(name, request) {
      const { row, execution } = await lab.sandboxes.open(name, request);
      const invocation = { ...execution.invocation, file: '/bin/sh', args: ['-c', line], env: { PATH: '/usr/bin:/bin' } };
      return { row, execution: { ...execution, invocation } };
    },
    executions: {
      ...lab.sandboxes.executions,
      async kill() {
        killed += 1;
        return true;
      },
    },
  };
  serveServers({ context: lab.context, sandboxes, log: () => undefined, graceMs: 50 });
  const taken = Promise.withResolvers<Socket>();
  const server = createServer((socket) => taken.resolve(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => undefined);
  lab.context.servers.serve({ session: id, server: 'docs' }, await taken.promise, record);
  if (expected === 0) {
    client.resume();
    await once(client, 'end');
  }
  client.destroy();
  await expect.poll(() => lab.journal().filter((entry) => entry.startsWith('exec.end'))).toHaveLength(1);
  // Longer than one may take to end: what would come by then has come.
  await sleep(200);
  expect(killed).toBe(expected);
  server.close();
  await lab.remove();
});
