/**
 * Finds any of many needles in a stream of bytes, over the borders of its pieces, and never lets a whole one through:
 * the tail that may be the beginning of one is held back. Wu and Manber's method: most bytes are never looked at.
 */
export interface NeedleSet {
  readonly size: number;
  readonly longest: number;
  /** where the first needle stands at or after `from` and which it is; `undefined`: none is there */
  readonly find: (data: Buffer, from: number) => Found | undefined;
  /** where the earliest beginning of a needle starts that reaches the end of `data`; its length when there is none */
  readonly partialAt: (data: Buffer, from: number) => number;
}

export interface Found {
  readonly at: number;
  readonly length: number;
  /** what was given beside the needle */
  readonly label: string;
}

export interface Needle {
  readonly bytes: Buffer;
  readonly label: string;
}

const block = 3;
/** The first bytes of each needle that steps are computed from: longer ones give longer steps, up to a point. */
const greatestWindow = 24;

/** Needles shorter than the block of three are left out. */
export function needleSet(needles: readonly Needle[]): NeedleSet {
  const unique = [...new Map(needles.map((needle) => [needle.bytes.toString('latin1'), needle])).values()].filter(
    ({ bytes }) => bytes.length >= block,
  );
  if (unique.length === 0) {
    return { size: 0, longest: 0, find: () => undefined, partialAt: (data) => data.length };
  }
  const window = Math.min(greatestWindow, ...unique.map(({ bytes }) => bytes.length));
  const longest = Math.max(...unique.map(({ bytes }) => bytes.length));
  const steps = stepsOf(unique, window);
  const byBlock = groupBy(unique, ({ bytes }) => hashAt(bytes, window - block));
  const byFirst = groupBy(unique, ({ bytes }) => bytes[0] ?? 0);
  return {
    size: unique.length,
    longest,
    find: (data, from) => findIn(data, from, { window, steps, byBlock }),
    partialAt: (data, from) => partialIn(data, Math.max(from, data.length - longest + 1, 0), byFirst),
  };
}

function hashAt(bytes: Buffer, at: number): number {
  return (((bytes[at] ?? 0) << 10) ^ ((bytes[at + 1] ?? 0) << 5) ^ (bytes[at + 2] ?? 0)) & 0xffff;
}

/** How far one may go on where the window ends in a block: nothing shorter can be a beginning. */
function stepsOf(needles: readonly Needle[], window: number): Uint8Array {
  const steps = new Uint8Array(65_536).fill(window - block + 1);
  for (const { bytes } of needles) {
    for (let at = 0; at <= window - block; at += 1) {
      const hash = hashAt(bytes, at);
      steps[hash] = Math.min(steps[hash] ?? 0, window - block - at);
    }
  }
  return steps;
}

function groupBy(needles: readonly Needle[], keyOf: (needle: Needle) => number): ReadonlyMap<number, readonly Needle[]> {
  const groups = new Map<number, Needle[]>();
  for (const needle of needles) {
    const key = keyOf(needle);
    groups.set(key, [...(groups.get(key) ?? []), needle]);
  }
  return groups;
}

interface Tables {
  readonly window: number;
  readonly steps: Uint8Array;
  readonly byBlock: ReadonlyMap<number, readonly Needle[]>;
}

function findIn(data: Buffer, from: number, { window, steps, byBlock }: Tables): Found | undefined {
  const offset = window - block;
  const last = data.length - block;
  for (let end = from + offset; end <= last;) {
    const hash = (((data[end] ?? 0) << 10) ^ ((data[end + 1] ?? 0) << 5) ^ (data[end + 2] ?? 0)) & 0xffff;
    const step = steps[hash] ?? 1;
    if (step > 0) {
      end += step;
      continue;
    }
    const at = end - offset;
    const needle = byBlock.get(hash)?.find(({ bytes }) => isAt(data, at, bytes));
    if (needle !== undefined) {
      return { at, length: needle.bytes.length, label: needle.label };
    }
    end += 1;
  }
  return undefined;
}

function isAt(data: Buffer, at: number, bytes: Buffer): boolean {
  return at + bytes.length <= data.length && data.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0;
}

function partialIn(data: Buffer, from: number, byFirst: ReadonlyMap<number, readonly Needle[]>): number {
  for (let at = from; at < data.length; at += 1) {
    const length = data.length - at;
    const isBeginning = byFirst
      .get(data[at] ?? 0)
      ?.some(({ bytes }) => length < bytes.length && data.compare(bytes, 0, length, at, data.length) === 0);
    if (isBeginning === true) {
      return at;
    }
  }
  return data.length;
}
