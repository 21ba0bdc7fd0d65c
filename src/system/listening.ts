import { once } from 'node:events';
import type { ListenOptions, Server } from 'node:net';

/**
 * Resolves once the server listens, rejects where it cannot. From then on a connection that cannot be taken, because the process
 * has no descriptor left for it, is that caller's trouble: an `error` that nobody heard would end the whole process.
 */
export async function listening(server: Server, at: ListenOptions): Promise<void> {
  server.listen(at);
  await once(server, 'listening');
  server.on('error', () => undefined);
}
