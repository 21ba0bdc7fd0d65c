/** The command by which an agent reaches a server elsewhere, run with a server of this test in the place of the gateway. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';

import { relayCommand, relayHost } from '../../../src/agents/mcp-relay.ts';

let server: Server | undefined;

afterEach(() => void server?.close());

/** `serve` has the far end. */
async function relayed(serve: (socket: Socket) => void) {
  server = createServer({ allowHalfOpen: true }, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const { command, args } = relayCommand(relayHost(0));
  expect(args.slice(2)).toEqual(['mcp-1.casemate.internal', '7700']);
  const child = spawn(command, [...args.slice(0, 2), '127.0.0.1', port], { stdio: ['pipe', 'pipe', 'inherit'] });
  const out: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => void out.push(piece));
  return { child, out: () => Buffer.concat(out).toString() };
}

it('carries both ways at once, more than fits into any buffer, and ends when both have', async () => {
  const size = 4 * 1024 * 1024;
  const { child, out } = await relayed((socket) => void socket.pipe(socket));
  child.stdin.end('x'.repeat(size));
  const [code] = await once(child, 'close');
  expect([code, out().length]).toEqual([1, size]);
});

it('ends when the server does, though its own input stays open, and when it is told to', async () => {
  const first = await relayed((socket) => void socket.end('bye'));
  const [code] = await once(first.child, 'close');
  expect([code, first.out()]).toEqual([1, 'bye']);
  server?.close();
  const closed = Promise.withResolvers<void>();
  const second = await relayed((socket) => {
    socket.resume();
    socket.once('close', closed.resolve);
    socket.once('end', () => void socket.end());
    socket.write('here');
  });
  await once(second.child.stdout, 'data');
  second.child.kill('SIGTERM');
  await closed.promise;
});
