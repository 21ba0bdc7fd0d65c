/** Protocol text that arrives in pieces and is held until its end: bounded, and no piece is read or copied twice. */
export interface HeldText {
  /** The text before `end`, and where `bytes` go on behind it; `undefined`: all of `bytes` was kept. Throws `TextFault`. */
  readonly take: (
    bytes: Buffer,
    from: number,
    end: '\r\n' | '\r\n\r\n',
  ) => { readonly text: string; readonly at: number } | undefined;
  /** Whether what is kept can still become something that starts so. */
  readonly startsLike: (start: Buffer) => boolean;
  /** so many bytes of what is kept, or all of it */
  readonly start: (count: number) => string;
  readonly isEmpty: () => boolean;
}

/** Too long, or a line that ends in another way than CRLF. */
export class TextFault extends Error {
  readonly isTooLong: boolean;

  constructor(message: string, isTooLong: boolean) {
    super(message);
    this.isTooLong = isTooLong;
  }
}

export function createHeldText(maxBytes: number): HeldText {
  let kept = Buffer.alloc(0);
  let length = 0;
  const keep = (bytes: Buffer, from: number): void => {
    const needed = length + bytes.length - from;
    if (needed > kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * kept.length, 256));
      kept.copy(larger, 0, 0, length);
      kept = larger;
    }
    bytes.copy(kept, length, from);
    length = needed;
  };
  const finish = (text: string): string => {
    length = 0;
    // What was large once is not kept for the life of a connection.
    kept = kept.length > 4096 ? Buffer.alloc(0) : kept;
    if (text.length > maxBytes) {
      throw new TextFault('this is too long', true);
    }
    return text;
  };
  return {
    take(bytes, from, end) {
      if (length === 0) {
        const found = bytes.indexOf(end, from, 'latin1');
        if (found !== -1) {
          return { text: finish(bytes.toString('latin1', from, found)), at: found + end.length };
        }
      }
      const before = length;
      // Of what is far too long no more is kept than shows that it is.
      const some = Math.min(bytes.length, from + maxBytes + end.length - before);
      keep(some === bytes.length ? bytes : bytes.subarray(0, Math.max(from, some)), from);
      const found = kept.subarray(0, length).indexOf(end, Math.max(0, before - end.length + 1), 'latin1');
      if (found !== -1) {
        return { text: finish(kept.toString('latin1', 0, found)), at: from + found + end.length - before };
      }
      if (length >= maxBytes + end.length) {
        throw new TextFault('this is too long', true);
      }
      refuseBareEnds(kept, { from: before, to: length });
      return undefined;
    },
    startsLike: (start) => {
      const count = Math.min(length, start.length);
      return kept.compare(start, 0, count, 0, count) === 0;
    },
    start: (count) => kept.toString('latin1', 0, Math.min(length, count)),
    isEmpty: () => length === 0,
  };
}

/** Else a side that ends its lines otherwise would be waited for. */
function refuseBareEnds(bytes: Buffer, { from, to }: { readonly from: number; readonly to: number }): void {
  for (let at = bytes.indexOf(0x0a, from); at !== -1 && at < to; at = bytes.indexOf(0x0a, at + 1)) {
    if (at === 0 || bytes[at - 1] !== 0x0d) {
      throw new TextFault('a line ends in another way than CRLF', false);
    }
  }
}
