import type { StopSignal } from '../../base/stop.ts';
/** What a byte relay is told at its start, and what it reports at its end. */
export interface Spliced {
  /** from the sandbox */
  readonly bytesOut: number;
  /** to the sandbox */
  readonly bytesIn: number;
  readonly outcome: 'ok' | 'cut' | 'idle';
}

export interface SpliceOptions {
  /** silence of both sides */
  readonly idleMs: number;
  readonly signal: StopSignal;
}
