/**
 * Finds any of many needles in a stream of bytes, across the borders of its pieces, and never lets a whole one pass: the tail
 * that may be the start of one is held back. It uses Wu and Manber's method, which never looks at most bytes.
 */
export interface NeedleSet {
  readonly size: number;
  readonly longest: number;
  readonly shortest: number;
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
    return { size: 0, longest: 0, shortest: 0, find: () => undefined, partialAt: (data) => data.length };
  }
  const lengths = unique.map(({ bytes }) => bytes.length);
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const window = Math.min(greatestWindow, shortest);
  const steps = stepsOf(unique, window);
  const byStart = groupBy(withoutLonger(unique), ({ bytes }) => bytes.toString('latin1', 0, window));
  const sorted = unique.map(({ bytes }) => bytes).toSorted((a, b) => a.compare(b));
  const beginnings = beginningsOf(sorted);
  return {
    size: unique.length,
    longest,
    shortest,
    find: (data, from) => findIn(data, from, { window, steps, byStart }),
    partialAt: (data, from) => partialIn(data, Math.max(from, data.length - longest + 1, 0), { sorted, beginnings }),
  };
}

/** Sorted, and without those that begin with another one: they are found by it. */
function withoutLonger(needles: readonly Needle[]): readonly Needle[] {
  const kept: Needle[] = [];
  for (const needle of needles.toSorted((a, b) => a.bytes.compare(b.bytes))) {
    const last = kept.at(-1);
    if (last === undefined || !needle.bytes.subarray(0, last.bytes.length).equals(last.bytes)) {
      kept.push(needle);
    }
  }
  return kept;
}

function hashAt(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 10) ^ ((bytes[at + 1] ?? 0) << 5) ^ (bytes[at + 2] ?? 0);
}

/** A power of two. So large that few other blocks fall on those of a needle, and no larger: each sandbox has its own. */
function tableSize(blocks: number): number {
  return Math.min(65_536, 2 ** Math.ceil(Math.log2(8 * blocks)));
}

/** How far one may go on where the window ends in a block: nothing shorter can be a beginning. */
function stepsOf(needles: readonly Needle[], window: number): Uint8Array {
  const steps = new Uint8Array(tableSize(needles.length * (window - block + 1))).fill(window - block + 1);
  for (const { bytes } of needles) {
    for (let at = 0; at <= window - block; at += 1) {
      const hash = hashAt(bytes, at) & (steps.length - 1);
      steps[hash] = Math.min(steps[hash] ?? 0, window - block - at);
    }
  }
  return steps;
}

function groupBy(needles: readonly Needle[], keyOf: (needle: Needle) => string): ReadonlyMap<string, readonly Needle[]> {
  const groups = new Map<string, Needle[]>();
  for (const needle of needles) {
    const key = keyOf(needle);
    const group = groups.get(key) ?? [];
    group.push(needle);
    groups.set(key, group);
  }
  return groups;
}

interface Tables {
  readonly window: number;
  readonly steps: Uint8Array;
  /** by their first `window` bytes: needles that somebody chose to be alike are told apart at once */
  readonly byStart: ReadonlyMap<string, readonly Needle[]>;
}

function findIn(data: Buffer, from: number, { window, steps, byStart }: Tables): Found | undefined {
  const offset = window - block;
  const last = data.length - block;
  const bits = steps.length - 1;
  for (let end = from + offset; end <= last;) {
    const hash = (((data[end] ?? 0) << 10) ^ ((data[end + 1] ?? 0) << 5) ^ (data[end + 2] ?? 0)) & bits;
    const step = steps[hash] ?? 1;
    if (step > 0) {
      end += step;
      continue;
    }
    const at = end - offset;
    const needle = beginningOf(data.subarray(at), byStart.get(data.toString('latin1', at, at + window)) ?? []);
    if (needle !== undefined) {
      return { at, length: needle.bytes.length, label: needle.label };
    }
    end += 1;
  }
  return undefined;
}

/** `group` is sorted, and none in it begins as another one: the one that `text` begins with is the last that is not greater. */
function beginningOf(text: Buffer, group: readonly Needle[]): Needle | undefined {
  let [low, high] = [0, group.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((group[middle]?.bytes.compare(text) ?? 0) <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const needle = group[low - 1];
  const isThere = needle !== undefined && text.subarray(0, needle.bytes.length).equals(needle.bytes);
  return isThere ? needle : undefined;
}

interface Beginnings {
  readonly sorted: readonly Buffer[];
  /** a bit for each two bytes that a needle begins with */
  readonly beginnings: Uint8Array;
}

function beginningsOf(needles: readonly Buffer[]): Uint8Array {
  const beginnings = new Uint8Array(65_536 / 8);
  for (const [first = 0, second = 0] of needles) {
    const pair = (first << 8) | second;
    beginnings[pair >> 3] = (beginnings[pair >> 3] ?? 0) | (1 << (pair & 7));
  }
  return beginnings;
}

function mayBegin(beginnings: Uint8Array, first: number, second: number): boolean {
  const pair = (first << 8) | second;
  return ((beginnings[pair >> 3] ?? 0) & (1 << (pair & 7))) !== 0;
}

/** In `sorted` what begins as a text does stands right behind where that text would stand; few places have to be looked up. */
function partialIn(data: Buffer, from: number, { sorted, beginnings }: Beginnings): number {
  for (let at = from; at < data.length; at += 1) {
    if (at + 1 < data.length && !mayBegin(beginnings, data[at] ?? 0, data[at + 1] ?? 0)) {
      continue;
    }
    const rest = data.subarray(at);
    const place = placeOf(rest, sorted);
    if ([sorted[place], sorted[place + 1]].some((one) => one !== undefined && isBeginning(rest, one))) {
      return at;
    }
  }
  return data.length;
}

function isBeginning(text: Buffer, whole: Buffer): boolean {
  return text.length < whole.length && text.compare(whole, 0, text.length) === 0;
}

/** Where the first stands that is not smaller. */
function placeOf(text: Buffer, sorted: readonly Buffer[]): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle]?.compare(text) ?? 0) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Goes over what is found, until `on` says no; answers where the last one ends. */
export function eachFound(bytes: Buffer, needles: NeedleSet, on: (found: Found) => boolean): number {
  let from = 0;
  for (let found = needles.find(bytes, from); found !== undefined; found = needles.find(bytes, from)) {
    from = found.at + found.length;
    if (!on(found)) {
      break;
    }
  }
  return from;
}
