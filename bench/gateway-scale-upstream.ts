/** Worker: the upstream of many sandboxes, an HTTPS server that answers with as many bytes as the path says. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

export interface ScaleUpstreamData {
  readonly key: string;
  readonly cert: string;
}

const { key, cert } = workerData as ScaleUpstreamData;
const server = createServer({ key, cert, keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume();
  const body = Buffer.alloc(Number(request.url?.slice(1)), 'x');
  response.writeHead(200, { 'content-length': body.length, 'content-type': 'application/octet-stream' });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
