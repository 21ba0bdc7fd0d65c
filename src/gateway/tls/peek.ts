import type { Socket } from 'node:net';

/**
 * Looks at the first bytes of a connection without consuming them. Afterwards the socket is paused, and its next reader gets the
 * same bytes.
 */
export type Peek<T> = { readonly kind: 'seen'; readonly value: T } | { readonly kind: 'closed' | 'slow' | 'too-long' };

export interface PeekOptions<T> {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** `undefined` asks for more bytes */
  readonly read: (bytes: Buffer) => T | undefined;
}

/** Never rejects. On anything but `seen` the caller closes the socket. */
export function peek<T>(socket: Socket, { maxBytes, timeoutMs, read }: PeekOptions<T>): Promise<Peek<T>> {
  const { promise, resolve } = Promise.withResolvers<Peek<T>>();
  let bytes: Buffer = Buffer.alloc(0);
  const finish = (result: Peek<T>): void => {
    clearTimeout(timer);
    socket.off('readable', look);
    socket.off('end', closed);
    socket.off('close', closed);
    if (result.kind === 'seen' && !socket.destroyed) {
      socket.unshift(bytes);
    }
    resolve(result);
  };
  const look = (): void => {
    for (let piece: unknown = socket.read(); piece !== null; piece = socket.read()) {
      if (Buffer.isBuffer(piece)) {
        bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece]);
      }
      const value = read(bytes);
      if (value !== undefined) {
        finish({ kind: 'seen', value });
        return;
      }
      if (bytes.length >= maxBytes) {
        finish({ kind: 'too-long' });
        return;
      }
    }
  };
  const closed = (): void => finish({ kind: 'closed' });
  const timer = setTimeout(() => finish({ kind: 'slow' }), timeoutMs);
  socket.on('readable', look);
  socket.once('end', closed);
  socket.once('close', closed);
  return promise;
}
