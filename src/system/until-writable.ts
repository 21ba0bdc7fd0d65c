import type { Writable } from 'node:stream';

/** Resolves when a stream that is full takes more, and when it never will. */
export async function untilWritable(stream: Writable): Promise<void> {
  if (stream.destroyed) {
    return;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once('drain', resolve).once('close', resolve);
  await promise;
  stream.off('drain', resolve).off('close', resolve);
}
