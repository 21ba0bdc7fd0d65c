/**
 * Undoes what servers decode by themselves before they read a text: `%70` in forms and URLs, `\u0070` in JSON. A secret that is
 * written so cannot be found until it is decoded; here that is done for the parts that contain escapes.
 */
export interface EscapedPart {
  /** the text with its escapes undone, once; good until the next part is asked for */
  readonly bytes: Buffer;
  /** Where in the data that byte is written; of the length: where what was read of the data ends. Asked in order. */
  readonly placeOf: (index: number) => number;
  /** Reaches the end of the data, or the beginning of an escape there whose rest is yet to come. */
  readonly isLast: boolean;
}

const percent = 0x25;
const backslash = 0x5c;
const letterU = 0x75;
const unicodeStart = Buffer.from('\\u');
/** Bytes that are looked at one by one before the next sign is searched for: a call for each would cost more where they are many. */
const nearBytes = 64;
/** A part goes on for so long behind its last escape: to begin another one costs as much. */
const usualReach = 512;

/**
 * The parts of the data that hold escapes, in order, each with as much before and behind them as a needle of `reach` bytes
 * can take. None: the data says nothing that is not seen in it as it is.
 */
export function* escapedParts(data: Buffer, reach: number): Generator<EscapedPart, void, undefined> {
  const next = createFinder(data);
  let room: Buffer | undefined;
  for (let from = 0, first = next(0); first < data.length; first = next(from)) {
    const start = Math.max(from, first - reach);
    room ??= Buffer.allocUnsafe(data.length);
    const undone = undo(data, room, { start, first, reach: Math.max(reach, usualReach), next });
    const { count, isLast } = undone;
    yield { bytes: room.subarray(0, count), placeOf: createPlaces(data, start, undone), isLast };
    if (isLast) {
      return;
    }
    from = undone.lastEnd;
  }
}

/** The same of a short text as a whole; the text itself where it holds none. */
export function withoutEscapes(text: string): string {
  return text.includes('%') || text.includes('\\u')
    ? text.replaceAll(/%([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})/g, (_, one: string | undefined, other: string | undefined) =>
        String.fromCharCode(Number.parseInt(one ?? other ?? '', 16)),
      )
    : text;
}

/** Where the next escape begins, or what may be one at the end of the data; its length when there is none. Asked in order. */
function createFinder(data: Buffer): (from: number) => number {
  let inPercent = -1;
  let inUnicode = -1;
  return (from) => {
    if (inPercent < from) {
      inPercent = nextOf(data, from, percent);
    }
    if (inUnicode < from) {
      inUnicode = nextOf(data, from, backslash);
    }
    return Math.min(inPercent, inUnicode);
  };
}

function nextOf(data: Buffer, from: number, sign: number): number {
  for (let at = from; at < data.length;) {
    const near = Math.min(at + nearBytes, data.length);
    for (; at < near; at += 1) {
      if (data[at] === sign && escapeAt(data, at) !== 0) {
        return at;
      }
    }
    at = far(data, at, sign);
  }
  return data.length;
}

function far(data: Buffer, from: number, sign: number): number {
  // The first half of an escape may be all that is there.
  const found = sign === percent ? data.indexOf(percent, from) : data.indexOf(unicodeStart, from);
  return found === -1 ? Math.max(from, sign === percent ? data.length : data.length - 1) : found;
}

interface Stretch {
  readonly start: number;
  /** where the first escape in it begins */
  readonly first: number;
  readonly reach: number;
  /** where the next escape begins */
  readonly next: (from: number) => number;
}

interface Undone {
  /** bytes written */
  readonly count: number;
  readonly isLast: boolean;
  /** where the last escape in it ends */
  readonly lastEnd: number;
  /** where what was read ends */
  readonly end: number;
}

/** Goes on until no needle reaches from what follows into an escape any more. */
function undo(data: Buffer, room: Buffer, { start, first, reach, next }: Stretch): Undone {
  let count = 0;
  let lastEnd = first;
  let at = start;
  for (let escape = first; ; escape = next(at)) {
    const plainEnd = Math.min(escape, lastEnd + reach);
    copyPlain(data, [at, plainEnd], room, count);
    count += plainEnd - at;
    at = plainEnd;
    if (at < escape || at >= data.length) {
      return { count, isLast: at >= data.length, lastEnd, end: at };
    }
    const length = escapeAt(data, at);
    if (length < 0) {
      return { count, isLast: true, lastEnd, end: at };
    }
    at += length;
    room[count] = valueAt(data, at);
    count += 1;
    lastEnd = at;
  }
}

/** A few bytes by hand: a call costs more. */
function copyPlain(data: Buffer, [from, to]: readonly [number, number], room: Buffer, at: number): void {
  if (to - from > nearBytes) {
    data.copy(room, at, from, to);
    return;
  }
  for (let index = from; index < to; index += 1) {
    room[at + index - from] = data[index] ?? 0;
  }
}

/** Goes on from the place asked for last: what stands before that may have been written over. */
function createPlaces(data: Buffer, start: number, { count, end }: Undone): (index: number) => number {
  let at = start;
  let passed = 0;
  return (index) => {
    // Mostly asked for: nothing was found, and nothing has begun.
    if (index === count) {
      return end;
    }
    for (; passed < index; passed += 1) {
      at += Math.max(1, escapeAt(data, at));
    }
    return at;
  };
}

/** Length of the escape that begins there; 0: none does; -1: the data ends in the middle of what may be one. */
function escapeAt(data: Buffer, at: number): number {
  if (data[at] === percent) {
    return at + 2 < data.length
      ? (digitAt(data, at + 1) | digitAt(data, at + 2)) < 16
        ? 3
        : 0
      : (digitsAt(data, at + 1, 2) ?? 0);
  }
  if (data[at] !== backslash || (at + 1 < data.length && data[at + 1] !== letterU)) {
    return 0;
  }
  return unicodeAt(data, at);
}

/** 255: none. */
function digitAt(data: Buffer, at: number): number {
  return digits[data[at] ?? 0] ?? 255;
}

/** Those of one byte alone: what is sought has no others. */
function unicodeAt(data: Buffer, at: number): number {
  for (const place of [at + 2, at + 3]) {
    if (place < data.length && data[place] !== 0x30) {
      return 0;
    }
  }
  const length = at + 4 > data.length ? -1 : (digitsAt(data, at + 4, 2) ?? 0);
  return length > 0 ? length + 3 : length;
}

/** One more than the digits, where they are all there; -1: they may be yet to come; `undefined`: something else is there. */
function digitsAt(data: Buffer, at: number, count: number): number | undefined {
  for (let index = 0; index < count; index += 1) {
    const digit = data[at + index];
    if (digit === undefined) {
      return -1;
    }
    if ((digits[digit] ?? 255) > 15) {
      return undefined;
    }
  }
  return count + 1;
}

function valueAt(data: Buffer, end: number): number {
  return ((digits[data[end - 2] ?? 0] ?? 0) << 4) | (digits[data[end - 1] ?? 0] ?? 0);
}

const digits = new Uint8Array(256).fill(255);
Array.from('0123456789abcdef').forEach((digit, value) => {
  digits[digit.charCodeAt(0)] = value;
  digits[digit.toUpperCase().charCodeAt(0)] = value;
});
