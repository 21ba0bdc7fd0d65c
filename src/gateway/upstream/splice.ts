import type { Socket } from 'node:net';

import { sideOf, spliceRaw } from './raw-splice.ts';
import { reset } from './reset.ts';
import type { Spliced, SpliceOptions } from './spliced.ts';
import { streamOf, type Wire } from './wire.ts';

/**
 * Relays bytes both ways unchanged, with back-pressure and half-close, and counts them. Resolves when both sides are closed;
 * never rejects. Bytes that were read of `inner` and put back are relayed too.
 */
export function splice(inner: Socket, outer: Socket | Wire, options: SpliceOptions): Promise<Spliced> {
  const [near, far] = [sideOf(inner), sideOf(outer)];
  return near === undefined || far === undefined
    ? spliceStreams(inner, 'whenSettled' in outer ? streamOf(outer) : outer, options)
    : spliceRaw(near, far, options);
}

/** What is no plain connection: TLS to the host's own proxy. */
export function spliceStreams(inner: Socket, outer: Socket, options: SpliceOptions): Promise<Spliced> {
  const { promise, resolve } = Promise.withResolvers<Spliced>();
  let outcome: Spliced['outcome'] = 'ok';
  let open = 2;
  // What is there already is relayed, too; what was said to a proxy on the way is not counted.
  const start = { in: outer.bytesRead - outer.readableLength, out: outer.bytesWritten };
  const closed = (): void => {
    open -= 1;
    if (open === 0) {
      options.signal.removeEventListener('abort', abort);
      resolve({ bytesOut: outer.bytesWritten - start.out, bytesIn: outer.bytesRead - start.in, outcome });
    }
  };
  const cut = (why: 'cut' | 'idle') => (): void => {
    outcome = why;
    reset(inner);
    reset(outer);
  };
  const abort = cut('cut');
  options.signal.addEventListener('abort', abort, { once: true });
  for (const [from, to] of [
    [inner, outer],
    [outer, inner],
  ] as const) {
    // The engine's listener decided this when it accepted; a relay must let each direction end by itself.
    from.allowHalfOpen = true;
    from.setNoDelay(true);
    from.setTimeout(options.idleMs, cut('idle'));
    from.on('error', cut('cut'));
    from.once('close', () => {
      to.destroySoon();
      closed();
    });
    from.pipe(to);
  }
  return promise;
}
