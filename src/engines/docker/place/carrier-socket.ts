import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { listening } from '../../../system/listening.ts';

/**
 * A Unix socket of this process that leads to an engine elsewhere, because the programs that carry commands speak only to
 * sockets. It is in a private folder and ends with this process.
 */
export interface CarrierSocket {
  readonly path: string;
  readonly close: () => Promise<void>;
}

/** `path`: in a folder that only this user can enter. */
export async function carrierSocket(path: string, dial: () => Promise<Duplex>): Promise<CarrierSocket> {
  const open = new Set<Duplex>();
  const keep = (stream: Duplex): void => {
    open.add(stream);
    stream.once('close', () => open.delete(stream));
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (caller) => {
    keep(caller);
    void join(caller, dial, keep);
  });
  await rm(path, { force: true });
  await listening(server, { path });
  await chmod(path, 0o600);
  server.unref();
  return {
    path,
    async close() {
      server.close();
      open.forEach((stream) => stream.destroy());
      await rm(path, { force: true });
    },
  };
}

/** Either end closes what it has finished with; a fault of one ends both. */
async function join(caller: Socket, dial: () => Promise<Duplex>, keep: (stream: Duplex) => void): Promise<void> {
  caller.on('error', () => undefined);
  try {
    const engine = await dial();
    keep(engine);
    engine.on('error', () => caller.destroy());
    caller.once('error', () => engine.destroy());
    caller.once('close', () => engine.destroy());
    engine.pipe(caller);
    caller.pipe(engine);
  } catch {
    // The carrier says that the engine gave no answer.
    caller.destroy();
  }
}
