import { isIPv6, Socket } from 'node:net';

import { nodeTcp, type TcpHandle } from './node-tcp.ts';

/** An outgoing connection for `splice`, without a Node stream around it. It is not read before the relay starts. */
export interface Wire {
  readonly handle: TcpHandle;
  /** `done` is called once, at once where it is known already. */
  readonly whenSettled: (done: (isConnected: boolean) => void) => void;
  /** Whatever it is doing; once. */
  readonly destroy: () => void;
  /** So that the other side sees a failure and not an end. */
  readonly reset: () => void;
}

const keepAliveSeconds = 60;

/** Starts connecting to an address. `undefined`: this Node cannot. */
export function connectWire(address: string, port: number): Wire | undefined {
  const tcp = nodeTcp();
  if (tcp === undefined) {
    return undefined;
  }
  const handle = tcp.open();
  const request = tcp.connectRequest();
  let isConnected: boolean | undefined;
  let isOpen = true;
  let told: ((isConnected: boolean) => void) | undefined;
  const settle = (status: number): void => {
    isConnected = status === 0 && isOpen;
    told?.(isConnected);
    told = undefined;
  };
  const destroy = (): void => {
    if (isOpen) {
      isOpen = false;
      handle.close();
    }
  };
  handle.setNoDelay(true);
  request.oncomplete = settle;
  const started = isIPv6(address) ? handle.connect6(request, address, port) : handle.connect(request, address, port);
  if (started === 0) {
    handle.setKeepAlive(true, keepAliveSeconds);
  } else {
    settle(started);
  }
  return {
    handle,
    whenSettled(done) {
      if (isConnected === undefined) {
        told = done;
      } else {
        done(isConnected);
      }
    },
    destroy,
    reset() {
      if (isOpen && handle.reset() === 0) {
        isOpen = false;
      } else {
        destroy();
      }
    },
  };
}

/** The same connection as a stream. */
export function streamOf({ handle }: Wire): Socket {
  // Node knows the option, its types do not.
  return Reflect.construct(Socket, [{ allowHalfOpen: true, handle }]);
}
