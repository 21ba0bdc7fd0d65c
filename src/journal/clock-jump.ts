import type { Clock } from '../system/clock.ts';
import type { JournalEntry } from './record.ts';

/** The times of records. Order is by sequence number; a clock that jumped is flagged, never corrected. */

export interface Reading {
  /** RFC 3339, UTC, milliseconds */
  readonly time: string;
  /** how far the wall clock moved against the monotonic one since the last reading, if that is a jump */
  readonly jumpMs: number | undefined;
}

/** Smaller steps than this back, or than this ahead, are taken for slewing and for coarse timers. */
const backMs = 1000;
const aheadMs = 60_000;

/** `lastTime`: of the last record before this process; a clock behind it has been set back. */
export function wallClock(clock: Clock, lastTime: string | undefined): () => Reading {
  let wall = lastTime === undefined ? clock.nowMs() : Date.parse(lastTime);
  let monotonic: number | undefined;
  let secondMs = Number.NaN;
  let second = '';
  return () => {
    const nowMs = Math.trunc(clock.nowMs());
    const nowMonotonic = clock.monotonicMs();
    const expected = monotonic === undefined ? Math.max(0, nowMs - wall) : nowMonotonic - monotonic;
    const drift = Math.round(nowMs - wall - expected);
    wall = nowMs;
    monotonic = nowMonotonic;
    const startOfSecond = nowMs - (((nowMs % 1000) + 1000) % 1000);
    if (startOfSecond !== secondMs) {
      secondMs = startOfSecond;
      second = new Date(startOfSecond).toISOString().slice(0, 20);
    }
    const time = `${second}${String(nowMs - startOfSecond).padStart(3, '0')}Z`;
    return { time, jumpMs: drift <= -backMs || drift >= aheadMs ? drift : undefined };
  };
}

export function jumpDetail(detail: JournalEntry['detail'], jumpMs: number | undefined): JournalEntry['detail'] {
  return jumpMs === undefined ? detail : { ...detail, clockJumpMs: jumpMs };
}
