import { decodedName } from './query.ts';

/** Finds certain fields of a form as it arrives: `a=1&b=2` of any length, read as the most lenient server would. */
export interface FieldScan {
  readonly isSought: (name: string) => boolean;
  /** of a field that is sought */
  readonly isRefused: (name: string, value: string) => boolean;
}

/** A name or a value that matters is shorter, whatever of it is escaped. */
const mostBytes = 192;
/** Blanks before a name are none of it for PHP; a plus is one, too. */
const blank = /^(?:[+\s]|%(?:20|09|0[abcd]))*/i;
/** What it may begin with, in ISO 8859-1. */
const blankStart = new Uint8Array(256);
for (const byte of Buffer.from('+% \t\n\v\f\r\u00a0', 'latin1')) {
  blankStart[byte] = 1;
}

/**
 * Given all that was not let go of and what has come since; answers where what may go on ends, -1 at a field that is refused.
 */
export function createFormScan(scan: FieldScan): (data: Buffer, isLast: boolean) => number {
  let isInName = true;
  return (data, isLast) => {
    for (let at = 0; ;) {
      const begin = isInName ? at : endOf(data, at, false) + 1;
      if (begin > data.length) {
        return data.length;
      }
      isInName = true;
      const start = skipBlanks(data, begin);
      const end = look(data, start, { isLast, ...scan });
      if (end === 'wait' || end === 'refused') {
        return end === 'wait' ? start : -1;
      }
      if (end >= data.length && isLast) {
        return data.length;
      }
      at = end;
      isInName = false;
    }
  };
}

/** At a field, from its name on; answers where the name ends. */
function look(
  data: Buffer,
  start: number,
  { isLast, isSought, isRefused }: FieldScan & { readonly isLast: boolean },
): number | 'wait' | 'refused' {
  const isCut = (from: number, end: number): boolean => end === data.length && !isLast && end - from <= mostBytes;
  const end = endOf(data, start, true);
  if (isCut(start, end)) {
    return 'wait';
  }
  const name = decodedName(data.toString('latin1', start, Math.min(end, start + mostBytes)));
  if (!isSought(name)) {
    return end;
  }
  const valueEnd = endOf(data, end, false);
  if (isCut(end, valueEnd)) {
    return 'wait';
  }
  const isLong = valueEnd - start > 2 * mostBytes;
  return isLong || isRefused(name, decodedName(data.toString('latin1', end + 1, valueEnd))) ? 'refused' : end;
}

/** Where a field ends, or its name. */
function endOf(data: Buffer, from: number, isName: boolean): number {
  let at = from;
  for (; at < data.length; at += 1) {
    const byte = data[at];
    if (byte === 0x26 || byte === 0x3b || (isName && byte === 0x3d)) {
      return at;
    }
  }
  return Math.max(at, data.length);
}

/** Up to what may be the beginning of an escaped one. */
function skipBlanks(data: Buffer, from: number): number {
  for (let at = from; ;) {
    // Mostly there is none, and a form may have as many fields as bytes.
    if (blankStart[data[at] ?? 0] === 0) {
      return at;
    }
    const length = blank.exec(data.toString('latin1', at, at + mostBytes))?.[0].length ?? 0;
    at += length;
    if (length < mostBytes - 2) {
      return at;
    }
  }
}
