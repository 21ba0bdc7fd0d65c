/** The clock as a parameter. */
export interface Clock {
  /** milliseconds since the epoch; may jump */
  readonly nowMs: () => number;
  /** milliseconds from an arbitrary origin; never goes back */
  readonly monotonicMs: () => number;
}

export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
