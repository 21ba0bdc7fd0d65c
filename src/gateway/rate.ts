import type { Clock } from '../system/clock.ts';

/** A token bucket: `perSecond` on average, bursts of the same size. */
export interface Rate {
  /** Takes one token; false when there is none. */
  readonly take: () => boolean;
}

export function createRate(perSecond: number, clock: Clock): Rate {
  let tokens = perSecond;
  let last = clock.monotonicMs();
  return {
    take() {
      const now = clock.monotonicMs();
      tokens = Math.min(perSecond, tokens + ((now - last) / 1000) * perSecond);
      last = now;
      if (tokens < 1) {
        return false;
      }
      tokens -= 1;
      return true;
    },
  };
}
