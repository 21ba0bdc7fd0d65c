/** Worker: the upstream of the gateway's measurement, an HTTPS server that sends and takes as much as the path says. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

export interface ServerData {
  readonly key: string;
  readonly cert: string;
}

const { key, cert } = workerData as ServerData;
const piece = Buffer.alloc(64 * 1024, 'x');

const server = createServer({ key, cert, keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.method === 'POST') {
    request.on('end', () => response.end('ok'));
    request.resume();
    return;
  }
  const bytes = Number(request.url?.slice(1));
  response.writeHead(200, { 'content-length': bytes, 'content-type': 'application/octet-stream' });
  let left = bytes;
  const send = (): void => {
    while (left > 0) {
      const part = left < piece.length ? piece.subarray(0, left) : piece;
      left -= part.length;
      if (!response.write(part)) {
        response.once('drain', send);
        return;
      }
    }
    response.end();
  };
  send();
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
