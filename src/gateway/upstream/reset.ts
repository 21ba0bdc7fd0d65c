import type { Socket } from 'node:net';

/** Ends a connection so that its other side sees a failure and not an end: a reset where the transport knows one. */
export function reset(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    // Only TCP can be reset: Unix sockets and TLS are closed.
    socket.destroy();
  }
}
