/** Listeners that a program hands over: one that arrives when nobody waits for it any more is closed. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';

import { listenInside, type Listener } from '../../src/engines/listen.ts';

/** Says what it is told to say, when it is told to; what it hands over is of this process. */
function program(): { readonly listener: Listener; readonly hand: (port: number, handle: unknown) => void } {
  const child = Object.assign(new EventEmitter(), { stdin: new PassThrough(), stderr: new PassThrough(), disconnect() {} });
  const nothing = (): void => undefined;
  return {
    listener: { child: child as unknown as ChildProcess, hasEnded: () => false, rest: nothing, wake: nothing, end: nothing },
    hand: (port, handle) => void child.emit('message', { protocol: 'tcp', port }, handle),
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return await once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

it('closes a listener that arrives after its caller has given up', async () => {
  const late = createServer();
  await once(late.listen(0, '127.0.0.1'), 'listening');
  const { port } = late.address() as AddressInfo;
  const { listener, hand } = program();
  const gone = new AbortController();
  const listening = listenInside('1', { tcp: [port], udp: [] }, { listener, signal: gone.signal });
  gone.abort(new Error('given up'));
  await expect(listening).rejects.toThrow('given up');
  expect(await answers(port)).toBe(true);
  hand(port, late);
  await expect.poll(() => answers(port)).toBe(false);
});
