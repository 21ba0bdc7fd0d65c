import type { Socket } from 'node:net';

import { reset } from './reset.ts';
import { isWide, pourInto } from './wide-reads.ts';

/** Relays bytes both ways as they are, with back-pressure and half-close, and counts them. */
export interface Spliced {
  /** from the sandbox */
  readonly bytesOut: number;
  /** to the sandbox */
  readonly bytesIn: number;
  readonly outcome: 'ok' | 'cut' | 'idle';
}

/** Resolves when both sides are closed; never rejects. `inner` may hold bytes that were put back. */
export function splice(
  inner: Socket,
  outer: Socket,
  options: { readonly idleMs: number; readonly signal: AbortSignal },
): Promise<Spliced> {
  const { promise, resolve } = Promise.withResolvers<Spliced>();
  let outcome: Spliced['outcome'] = 'ok';
  let open = 2;
  // What is there already is relayed, too; what was said to a proxy on the way is not counted.
  const start = { in: isWide(outer) ? 0 : outer.bytesRead - outer.readableLength, out: outer.bytesWritten };
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
    if (pourInto(from, to)) {
      from.once('end', () => to.end());
    } else {
      from.pipe(to);
    }
  }
  return promise;
}
