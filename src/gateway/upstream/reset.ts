import type { Socket } from 'node:net';

/** Ends a connection so that the other side sees a failure and not a clean end: by a reset where the transport has one. */
export function reset(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    // Only TCP can be reset: Unix sockets and TLS are closed.
    socket.destroy();
  }
}
