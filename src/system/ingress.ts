import type { Socket } from 'node:net';

/**
 * How connections from one sandbox reach the gateway, whatever the engine: accepted inside the sandbox's network namespace, or
 * carried out of it. This is all that engines and the gateway know of each other.
 */
export interface Ingress {
  /** Called once, before the sandbox's first process starts. */
  readonly serve: (receiver: IngressReceiver) => void;
  /** Stops accepting; connections already handed over are the receiver's to close. */
  readonly close: () => Promise<void>;
}

export interface IngressReceiver {
  readonly connection: (connection: IngressConnection) => void;
  readonly datagram: (datagram: IngressDatagram) => void;
}

export interface IngressConnection {
  /** Paused; nothing has been read. */
  readonly socket: Socket;
  /** The address the sandbox connected to, dotted IPv4: it says which name was asked for. */
  readonly localAddress: string;
  readonly localPort: number;
  /** of the sandbox's end, where the connection was carried here and the socket has another */
  readonly remotePort?: number | undefined;
}

export interface IngressDatagram {
  readonly data: Uint8Array;
  readonly localPort: number;
  readonly reply: (data: Uint8Array) => void;
}
