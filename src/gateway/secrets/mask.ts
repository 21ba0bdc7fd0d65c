/**
 * Replaces secrets in a stream of bytes by as many asterisks: lengths stay, so that `Content-Length` stays true. Of
 * what arrives only the longest tail that may be the beginning of a secret is held back, so that events are not delayed.
 */
export interface Mask {
  readonly push: (piece: Buffer) => Buffer;
  /** what was still held back */
  readonly finish: () => Buffer;
  /** how often something was replaced */
  readonly hits: () => number;
}

const asterisk = 0x2a;
const nothing = Buffer.alloc(0);

/** What is searched for, made ready once for many streams. */
export interface Needles {
  readonly sought: readonly Buffer[];
  readonly longest: number;
}

export const noNeedles: Needles = { sought: [], longest: 0 };

/** A needle that holds another one is found by it, and left out. */
export function prepareNeedles(needles: readonly Buffer[]): Needles {
  const unique = [...new Map(needles.map((needle) => [needle.toString('latin1'), needle])).values()].filter(
    (needle) => needle.length > 0,
  );
  const sought = unique.filter((needle) => !unique.some((other) => other !== needle && needle.includes(other)));
  return { sought, longest: Math.max(0, ...sought.map((needle) => needle.length)) };
}

/** The needle that comes first wins. `push` may write into the piece it is given. */
export function createMask({ sought, longest }: Needles): Mask {
  let held = nothing;
  let hits = 0;
  const advance = (data: Buffer): number => {
    const matches = sought.map((needle) => ({ needle, at: data.indexOf(needle) }));
    for (let from = 0; ;) {
      const partial = partialAt(data, sought, Math.max(from, data.length - longest + 1));
      const first = matches.reduce<{ needle: Buffer; at: number } | undefined>(
        (best, match) => (match.at !== -1 && (best === undefined || match.at < best.at) ? match : best),
        undefined,
      );
      if (first === undefined || first.at > partial) {
        return partial;
      }
      from = first.at + first.needle.length;
      data.fill(asterisk, first.at, from);
      hits += 1;
      for (const match of matches) {
        if (match.at !== -1 && match.at < from) {
          match.at = data.indexOf(match.needle, from);
        }
      }
    }
  };
  return {
    push(piece) {
      const data = held.length === 0 ? piece : Buffer.concat([held, piece]);
      const end = advance(data);
      // A copy: the piece may be written over by whoever gave it.
      held = end === data.length ? nothing : Buffer.from(data.subarray(end));
      return end === data.length ? data : data.subarray(0, end);
    },
    finish() {
      const rest = held;
      held = nothing;
      return rest;
    },
    hits: () => hits,
  };
}

/** The same for a short text, such as the value of a header. */
export function maskText(text: string, needles: Needles): string {
  if (needles.sought.length === 0) {
    return text;
  }
  const mask = createMask(needles);
  const masked = mask.push(Buffer.from(text, 'latin1'));
  return mask.hits() === 0 ? text : Buffer.concat([masked, mask.finish()]).toString('latin1');
}

/** Where the earliest beginning of a needle starts that reaches the end of `data`; its length when there is none. */
function partialAt(data: Buffer, needles: readonly Buffer[], from: number): number {
  for (let at = Math.max(0, from); at < data.length; at += 1) {
    const length = data.length - at;
    if (
      needles.some(
        (needle) => needle[0] === data[at] && length < needle.length && needle.compare(data, at, data.length, 0, length) === 0,
      )
    ) {
      return at;
    }
  }
  return data.length;
}
