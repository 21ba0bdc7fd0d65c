import { parseJson } from '../../base/json.ts';

/**
 * Members of JSON objects as ranges of the bytes they were read from, so that what is kept stays the same to the byte. The
 * search yields regularly for `inTurns`, because documents of many megabytes are common.
 */
export interface ValueRange {
  readonly valueStart: number;
  readonly end: number;
}

export interface MemberRange extends ValueRange {
  readonly name: string;
  /** of the name, its quote included */
  readonly from: number;
}

/** Members of the object that begins at or after `start`; `undefined` where there is none or it does not end. */
export function* memberRanges(data: Buffer, start = 0): Generator<void, readonly MemberRange[] | undefined, void> {
  let at = skipSpace(data, start);
  if (data[at] !== 0x7b) {
    return undefined;
  }
  const members: MemberRange[] = [];
  at = skipSpace(data, at + 1);
  while (data[at] === 0x22) {
    const nameEnd = stringEnd(data, at);
    const valueStart = skipSpace(data, skipSpace(data, nameEnd) + 1);
    const end = yield* valueEnd(data, valueStart);
    const name = parseJson(data.toString('utf8', at, nameEnd));
    if (end > data.length || typeof name !== 'string') {
      return undefined;
    }
    members.push({ name, from: at, valueStart, end });
    yield;
    at = skipSpace(data, end);
    if (data[at] !== 0x2c) {
      break;
    }
    at = skipSpace(data, at + 1);
  }
  return data[at] === 0x7d ? members : undefined;
}

/** Elements of the array that begins at or after `start`; `undefined` where there is none or it does not end. */
export function* elementRanges(data: Buffer, start = 0): Generator<void, readonly ValueRange[] | undefined, void> {
  let at = skipSpace(data, start);
  if (data[at] !== 0x5b) {
    return undefined;
  }
  const elements: ValueRange[] = [];
  at = skipSpace(data, at + 1);
  if (data[at] === 0x5d) {
    return elements;
  }
  for (;;) {
    const end = yield* valueEnd(data, at);
    if (end > data.length || end === at) {
      return undefined;
    }
    elements.push({ valueStart: at, end });
    yield;
    at = skipSpace(data, end);
    if (data[at] !== 0x2c) {
      return data[at] === 0x5d ? elements : undefined;
    }
    at = skipSpace(data, at + 1);
  }
}

/** The value of a range, parsed; `undefined` where it is not JSON. */
export function valueIn(data: Buffer, { valueStart, end }: ValueRange): unknown {
  return parseJson(data.toString('utf8', valueStart, end));
}

const quote = 0x22;
const backslash = 0x5c;
/** of a value, between two places where the search may be interrupted */
const pieceBytes = 64 * 1024;

/** White space of JSON (RFC 8259, 2). */
export function skipSpace(data: Buffer, from: number): number {
  let at = from;
  while (data[at] === 0x20 || data[at] === 0x0a || data[at] === 0x0d || data[at] === 0x09) {
    at += 1;
  }
  return at;
}

/** Behind its last quote; behind the end of the data where there is none. */
function stringEnd(data: Buffer, start: number): number {
  for (let from = start + 1; ;) {
    const end = data.indexOf(quote, from);
    if (end === -1) {
      return data.length + 1;
    }
    if (!isEscaped(data, end, from)) {
      return end + 1;
    }
    from = end + 1;
  }
}

/** Whether an odd number of backslashes stands before it, none of them before `from`. */
function isEscaped(data: Buffer, at: number, from: number): boolean {
  let first = at;
  while (first > from && data[first - 1] === backslash) {
    first -= 1;
  }
  return (at - first) % 2 === 1;
}

/** What a byte does outside strings: 0 nothing, else one of these. */
const opens = 1;
const closes = 2;
const quotes = 3;
const separates = 4;
const depthStep = [0, 1, -1, 0, 0] as const;
const roles = new Uint8Array(256);
for (const [role, letters] of [
  [opens, '{['],
  [closes, '}]'],
  [quotes, '"'],
  [separates, ', \n\r\t'],
] as const) {
  for (const letter of Buffer.from(letters)) {
    roles[letter] = role;
  }
}

function roleAt(data: Buffer, at: number): number {
  return roles[data[at] ?? 0] ?? 0;
}

function* valueEnd(data: Buffer, start: number): Generator<void, number, void> {
  let depth = 0;
  let pieceEnd = start + pieceBytes;
  for (let at = start; at < data.length;) {
    if (at >= pieceEnd) {
      pieceEnd = at + pieceBytes;
      yield;
    }
    const role = roleAt(data, at);
    if (role === 0 || (role === separates && depth > 0)) {
      at += 1;
      continue;
    }
    if (depth === 0 && role !== opens && role !== quotes) {
      return at;
    }
    depth += depthStep[role] ?? 0;
    at = role === quotes ? stringEnd(data, at) : at + 1;
    if (depth === 0) {
      return at;
    }
  }
  return data.length + 1;
}
