import type { Resolve } from './dial.ts';

/**
 * Keeps the addresses of recently resolved names: programs open many connections to one host in a row, and each would wait for
 * the host's resolver. Every dial checks the address all the same, so a cached answer allows nothing.
 */
export interface CacheOptions {
  readonly nowMs: () => number;
  readonly keptMs?: number | undefined;
  readonly limit?: number | undefined;
}

/** Shorter than names that move, and long enough for a burst. */
const usualMs = 5000;
const usualLimit = 1024;

interface Kept {
  readonly addresses: Promise<readonly string[]>;
  readonly untilMs: number;
}

/** Asks once for all that ask at the same time; what fails or finds nothing is asked for again. */
export function cachedResolve(resolve: Resolve, { nowMs, keptMs = usualMs, limit = usualLimit }: CacheOptions): Resolve {
  const kept = new Map<string, Kept>();
  const forget = (host: string, entry: Kept): void => {
    if (kept.get(host) === entry) {
      kept.delete(host);
    }
  };
  return (host) => {
    const known = kept.get(host);
    if (known !== undefined && known.untilMs > nowMs()) {
      return known.addresses;
    }
    const entry: Kept = { addresses: resolve(host), untilMs: nowMs() + keptMs };
    kept.delete(host);
    kept.set(host, entry);
    const [oldest] = kept.keys();
    if (kept.size > limit && oldest !== undefined) {
      kept.delete(oldest);
    }
    entry.addresses.then(
      (found) => (found.length === 0 ? forget(host, entry) : undefined),
      () => forget(host, entry),
    );
    return entry.addresses;
  };
}
