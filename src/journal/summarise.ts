/**
 * Keeps a flood of similar events from drowning the journal: the first of each second pass, the rest are counted exactly and
 * reported in one summary. Pure; the caller owns the clock and writes the records.
 */
export interface Summariser {
  /** Whether this event gets a record of its own. If not, it is counted. */
  readonly allow: (key: string, nowMs: number) => boolean;
  /**
   * The counted events of every key whose last summary is a second or more old, and forgets them; call it every second, and
   * with `Infinity` at the end.
   */
  readonly drain: (nowMs: number) => readonly Summary[];
}

export interface Summary {
  readonly key: string;
  /** events that got no record of their own */
  readonly count: number;
  /** time of the first and of the last of them, milliseconds */
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface SummariserOptions {
  /** records a second and key; also the burst. Default 20. */
  readonly perSecond?: number | undefined;
  /** Keys kept apart; events of further keys are counted together under `*`. Default 1,000. */
  readonly maxKeys?: number | undefined;
}

interface Bucket {
  tokens: number;
  filledMs: number;
  count: number;
  fromMs: number;
  untilMs: number;
}

/** The key under which events are counted when there are too many keys: keys may be what a sandbox makes up. */
export const otherKeys = '*';

export function summariser(options: SummariserOptions = {}): Summariser {
  const { perSecond = 20, maxKeys = 1000 } = options;
  const buckets = new Map<string, Bucket>();
  const bucketOf = (key: string, nowMs: number): Bucket => {
    const name = buckets.has(key) || buckets.size < maxKeys ? key : otherKeys;
    const bucket = buckets.get(name) ?? { tokens: perSecond, filledMs: nowMs, count: 0, fromMs: 0, untilMs: 0 };
    buckets.set(name, bucket);
    return bucket;
  };
  return {
    allow(key, nowMs) {
      const bucket = bucketOf(key, nowMs);
      refill(bucket, { nowMs, perSecond });
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        return true;
      }
      bucket.fromMs = bucket.count === 0 ? nowMs : bucket.fromMs;
      bucket.untilMs = nowMs;
      bucket.count += 1;
      return false;
    },
    drain(nowMs) {
      const summaries: Summary[] = [];
      for (const [key, bucket] of buckets) {
        if (bucket.count > 0 && nowMs - bucket.fromMs >= 1000) {
          summaries.push({ key, count: bucket.count, fromMs: bucket.fromMs, untilMs: bucket.untilMs });
          bucket.count = 0;
        }
        refill(bucket, { nowMs, perSecond });
        if (bucket.count === 0 && bucket.tokens >= perSecond) {
          buckets.delete(key);
        }
      }
      return summaries;
    },
  };
}

function refill(bucket: Bucket, { nowMs, perSecond }: { readonly nowMs: number; readonly perSecond: number }): void {
  // A clock set back gives no tokens and takes none.
  const elapsed = Math.max(0, nowMs - bucket.filledMs);
  // At the end of all times nothing times infinity would be no number, and the bucket would be kept for ever.
  const gained = perSecond === 0 ? 0 : (elapsed / 1000) * perSecond;
  bucket.tokens = Math.min(perSecond, bucket.tokens + gained);
  bucket.filledMs = nowMs;
}
