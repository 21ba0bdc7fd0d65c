import { createServer, connect, type Socket } from 'node:net';

import { listen, type Lab } from './gateway-lab.ts';

/** A proxy for `CONNECT` in front of a lab: with it a real client reaches the listeners of the sandbox by name. */
export interface ConnectProxy {
  readonly url: string;
  readonly close: () => void;
}

export async function connectProxy(lab: Lab): Promise<ConnectProxy> {
  const sockets = new Set<Socket>();
  const serve = async (socket: Socket, head: string): Promise<void> => {
    const [, host = '', port = '443'] = /^CONNECT ([^:\s]+):(\d+) /.exec(head) ?? [];
    const inner = connect(await lab.open(host, Number(port)), '127.0.0.1');
    inner.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(inner).pipe(socket);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      serve(socket, data.toString('latin1')).catch(() => socket.destroy());
    });
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.close();
      for (const socket of sockets) {
        socket.destroy();
      }
    },
  };
}
