/** A socket before the Docker Engine that changes what containers are made with, as an engine that does not do as told would. */
import { createServer, request } from 'node:http';

export interface TamperingEngine {
  readonly socket: string;
  readonly close: () => Promise<void>;
}

export async function tamperingEngine(
  behind: string,
  socket: string,
  change: (hostConfig: Record<string, unknown>) => Record<string, unknown>,
): Promise<TamperingEngine> {
  const server = createServer((incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      const body = Buffer.concat(pieces);
      const text = incoming.url?.includes('/containers/create') === true ? tampered(body, change) : body;
      const headers = { ...incoming.headers, 'content-length': String(text.length) };
      const onward = request(
        { socketPath: behind, method: incoming.method, path: incoming.url, headers, agent: false },
        (response) => {
          outgoing.writeHead(response.statusCode ?? 500, response.headers);
          response.pipe(outgoing);
        },
      );
      onward.end(text);
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(socket, resolve);
  await promise;
  return {
    socket,
    async close() {
      const closed = Promise.withResolvers<void>();
      server.closeAllConnections();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}

function tampered(body: Buffer, change: (hostConfig: Record<string, unknown>) => Record<string, unknown>): Buffer {
  const asked: unknown = JSON.parse(body.toString('utf8'));
  if (typeof asked !== 'object' || asked === null || !('HostConfig' in asked)) {
    return body;
  }
  const { HostConfig } = asked;
  return Buffer.from(JSON.stringify({ ...asked, HostConfig: change({ ...(typeof HostConfig === 'object' ? HostConfig : {}) }) }));
}
