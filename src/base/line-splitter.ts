import { gather } from './gather.ts';

/**
 * Splits bytes that arrive in pieces into lines. It works on bytes because a character may be cut between two pieces, and
 * because only a line feed may end a line: `node:readline` also splits at U+2028, which a name from a sandbox may contain.
 */
export interface LineSplitter {
  /** The lines that this piece ends, without their line feed; `undefined` once for each that is too long, whose bytes are dropped. */
  readonly take: (piece: Buffer) => readonly (Buffer | undefined)[];
  /** What stands behind the last line feed; `undefined`: nothing, or it is too long. */
  readonly rest: () => Buffer | undefined;
}

export function lineSplitter(maxBytes: number): LineSplitter {
  // A line may come byte by byte: small pieces are copied together.
  const pending = gather();
  let size = 0;
  /** Whether the line has just become too long. */
  const add = (part: Buffer): boolean => {
    const wasLong = size > maxBytes;
    size += part.length;
    if (size > maxBytes) {
      pending.take();
      return !wasLong;
    }
    pending.add(part);
    return false;
  };
  const line = (): Buffer | undefined => (size > maxBytes ? undefined : pending.take());
  return {
    take(piece) {
      const lines: (Buffer | undefined)[] = [];
      let rest = piece;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const isLong = add(rest.subarray(0, end));
        if (isLong || size <= maxBytes) {
          lines.push(line());
        }
        size = 0;
        rest = rest.subarray(end + 1);
      }
      if (rest.length > 0 && add(rest)) {
        lines.push(undefined);
      }
      return lines;
    },
    rest: () => (size === 0 ? undefined : line()),
  };
}
