import { createServer } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';

/**
 * Runs as a process of its own, so that what it holds is not taken for the gateway's: an upstream without end on
 * loopback, and callers that hold on to all they can. The first argument is a `Flood` as JSON.
 */
export interface Flood {
  readonly kind: 'slow-readers' | 'half-heads' | 'uploads';
  readonly count: number;
  readonly host: string;
  readonly ca: string;
}

const flood = JSON.parse(process.argv[2] ?? '{}') as Flood;
const piece = Buffer.alloc(64 * 1024, 0x61);

/** Sends without end to those who ask, and reads no content. */
const endless = createServer((request, response) => {
  request.pause();
  if (request.url === '/quick') {
    response.end('quick');
    return;
  }
  if (flood.kind === 'slow-readers') {
    const more = (): void => {
      while (response.write(piece));
    };
    response.on('drain', more);
    response.on('error', () => undefined);
    more();
  }
});
endless.listen(0, '127.0.0.1', () => process.send?.({ upstream: (endless.address() as AddressInfo).port }));

process.on('message', (message: { readonly port: number }) => {
  void start(message.port).then(() => process.send?.({ isUp: true }));
});

async function start(port: number): Promise<void> {
  for (let done = 0; done < flood.count; done += 20) {
    await Promise.all(Array.from({ length: Math.min(20, flood.count - done) }, () => attack(port)));
  }
}

async function attack(port: number): Promise<void> {
  if (flood.kind === 'uploads') {
    await upload(port);
    return;
  }
  const socket = await open(port, 'http/1.1');
  socket.pause();
  const head = `GET /big HTTP/1.1\r\nHost: ${flood.host}\r\n`;
  socket.write(flood.kind === 'half-heads' ? `${head}X-Large: ${'y'.repeat(60_000)}\r\nX-Half: ` : `${head}\r\n`);
}

/** As many streams as a connection may have, each with as much content as its window takes. */
async function upload(port: number): Promise<void> {
  const socket = await open(port, 'h2');
  const session = http2Connect(`https://${flood.host}`, { createConnection: () => socket });
  session.on('error', () => undefined);
  for (let nth = 0; nth < 4; nth += 1) {
    const stream = session.request({ ':method': 'POST', ':path': '/up' });
    stream.on('error', () => undefined);
    for (let written = 0; written < 32; written += 1) {
      stream.write(piece);
    }
  }
}

function open(port: number, alpn: string): Promise<TLSSocket> {
  const { promise, resolve } = Promise.withResolvers<TLSSocket>();
  const socket = tlsConnect({ host: '127.0.0.1', port, servername: flood.host, ca: flood.ca, ALPNProtocols: [alpn] });
  socket.once('secureConnect', () => resolve(socket));
  socket.on('error', () => resolve(socket));
  return promise;
}
