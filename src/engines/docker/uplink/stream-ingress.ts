import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';

import type { Ingress, IngressReceiver } from '../../../system/ingress.ts';
import { listening } from '../../../system/listening.ts';
import { datagramReader } from './datagram-frames.ts';

/**
 * An ingress whose connections arrive at a port of loopback, each with a token that is good for one connection. A peer with no
 * token or a used one is cut off, because being able to reach the port does not say who the peer is.
 */
export interface StreamIngress extends Ingress {
  readonly port: number;
  /** A token for one more connection. */
  readonly token: () => string;
}

export interface StreamIngressOptions {
  /** how long one may take to say who it is. Default: 5000 */
  readonly patienceMs?: number | undefined;
}

/** Two lines: a token; the protocol, address and port that the sandbox asked for, and of a connection the port of its end. */
const greatestGreeting = 160;
const greatestWaiting = 256;
/** More than are ever on their way: what is older belonged to a connection that broke off before it was shown. */
const greatestTokens = 4096;

export async function streamIngress({ patienceMs = 5000 }: StreamIngressOptions = {}): Promise<StreamIngress> {
  const tokens = new Set<string>();
  const waiting = new Set<Socket>();
  const held = new Set<Socket>();
  let receiver: IngressReceiver | undefined;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    // Without an error listener a reset of a waiting connection would end this process.
    socket.on('error', () => undefined);
    // Whoever has said nothing for longest goes: others on this host may fill the room, and the uplink says who it is at once.
    const [oldest] = waiting;
    if (oldest !== undefined && waiting.size >= greatestWaiting) {
      waiting.delete(oldest);
      oldest.destroy();
    }
    waiting.add(socket);
    const timer = setTimeout(() => socket.destroy(), patienceMs);
    socket.once('close', () => clearTimeout(timer));
    greet(socket, (token, asked) => {
      clearTimeout(timer);
      waiting.delete(socket);
      if (!tokens.delete(token)) {
        socket.destroy();
        return;
      }
      pass(socket, asked, { receiver, held });
    });
    socket.once('close', () => waiting.delete(socket));
  });
  await listening(server, { host: '127.0.0.1', port: 0 });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    token() {
      const token = randomBytes(32).toString('hex');
      tokens.add(token);
      const [oldest] = tokens;
      if (oldest !== undefined && tokens.size > greatestTokens) {
        tokens.delete(oldest);
      }
      return token;
    },
    serve(newReceiver) {
      receiver = newReceiver;
    },
    async close() {
      tokens.clear();
      server.close();
      [...waiting, ...held].forEach((socket) => socket.destroy());
    },
  };
}

/** What follows the greeting stays unread. */
function greet(socket: Socket, done: (token: string, asked: string) => void): void {
  let said = Buffer.alloc(0);
  const look = (): void => {
    for (let piece: unknown = socket.read(); Buffer.isBuffer(piece); piece = socket.read()) {
      said = Buffer.concat([said, piece]);
    }
    const first = said.indexOf(10);
    const second = first < 0 ? -1 : said.indexOf(10, first + 1);
    if (second < 0 || second > greatestGreeting) {
      if (said.length > greatestGreeting) {
        socket.destroy();
      }
      return;
    }
    socket.off('readable', look);
    socket.pause();
    if (said.length > second + 1) {
      socket.unshift(said.subarray(second + 1));
    }
    done(said.toString('latin1', 0, first), said.toString('latin1', first + 1, second));
  };
  socket.on('readable', look);
}

interface Reception {
  readonly receiver: IngressReceiver | undefined;
  /** connections that are ours to close */
  readonly held: Set<Socket>;
}

function pass(socket: Socket, asked: string, { receiver, held }: Reception): void {
  const [, protocol, address = '', digits = '', from = ''] =
    /^(tcp|udp) (\d{1,3}(?:\.\d{1,3}){3}) (\d{1,5})(?: (\d{1,5}))?$/.exec(asked) ?? [];
  const localPort = Number(digits);
  if (receiver === undefined || protocol === undefined || localPort === 0) {
    socket.destroy();
  } else if (protocol === 'tcp') {
    receiver.connection({ socket, localAddress: address, localPort, ...(from === '' ? {} : { remotePort: Number(from) }) });
  } else {
    held.add(socket);
    socket.once('close', () => held.delete(socket));
    const take = datagramReader(({ source, data }) => {
      receiver.datagram({ data, localPort, reply: (answer) => sendFrame(socket, source, answer) });
    });
    socket.on('data', take);
    socket.once('end', () => socket.destroy());
    socket.resume();
  }
}

/** An answer may come after the sandbox has ended. */
function sendFrame(socket: Socket, source: Uint8Array, answer: Uint8Array): void {
  if (!socket.destroyed && answer.length <= 0xffff) {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(answer.length);
    socket.write(Buffer.concat([length, source, answer]));
  }
}
