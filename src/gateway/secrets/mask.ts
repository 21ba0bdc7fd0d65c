import type { Field } from '../http/fields.ts';

/**
 * Replaces secrets in a stream of bytes by as many asterisks, so that lengths and `Content-Length` stay the same. It holds back
 * only the longest tail that may be the start of a secret, so that events are not delayed.
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
  /** the same as text, a character for each byte */
  readonly texts: readonly string[];
  /** 1 for each byte that a needle begins with */
  readonly beginnings: Uint8Array;
}

export const noNeedles: Needles = { sought: [], longest: 0, texts: [], beginnings: new Uint8Array(256) };

/** A needle that holds another one is found by it, and left out. */
export function prepareNeedles(needles: readonly Buffer[]): Needles {
  const unique = [...new Map(needles.map((needle) => [needle.toString('latin1'), needle])).values()].filter(
    (needle) => needle.length > 0,
  );
  const sought = unique.filter((needle) => !unique.some((other) => other !== needle && needle.includes(other)));
  const beginnings = new Uint8Array(256);
  sought.forEach(([first = 0]) => void (beginnings[first] = 1));
  return {
    sought,
    longest: Math.max(0, ...sought.map((needle) => needle.length)),
    texts: sought.map((needle) => needle.toString('latin1')),
    beginnings,
  };
}

/** The needle that comes first wins. `push` may write into the piece it is given. */
export function createMask(needles: Needles): Mask {
  const { sought, longest } = needles;
  let held = nothing;
  let hits = 0;
  const advance = (data: Buffer): number => {
    const matches = sought.map((needle) => ({ needle, at: data.indexOf(needle) }));
    for (let from = 0; ;) {
      const partial = partialAt(data, needles, Math.max(from, data.length - longest + 1));
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
  // Most texts hold none. A character beyond a byte is none of a header; it is looked at as it would be sent.
  if (needles.texts.length === 0 || (!needles.texts.some((needle) => text.includes(needle)) && isBytes(text))) {
    return text;
  }
  const mask = createMask(needles);
  const masked = mask.push(Buffer.from(text, 'latin1'));
  return mask.hits() === 0 ? text : Buffer.concat([masked, mask.finish()]).toString('latin1');
}

/** The same for the values of many fields: mostly none of them holds one, so all are looked at together first. */
export function maskFields(fields: readonly Field[], needles: Needles): readonly Field[] {
  if (needles.texts.length === 0) {
    return fields;
  }
  let all = '';
  for (const field of fields) {
    all += `${field[1]}\n`;
  }
  return maskText(all, needles) === all ? fields : fields.map(([name, value]): Field => [name, maskText(value, needles)]);
}

function isBytes(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- bytes of any value
  return !/[^\u0000-\u00ff]/.test(text);
}

/** Where the earliest beginning of a needle starts that reaches the end of `data`; its length when there is none. */
function partialAt(data: Buffer, { sought, beginnings }: Needles, from: number): number {
  for (let at = Math.max(0, from); at < data.length; at += 1) {
    if (beginnings[data[at] ?? 0] === 0) {
      continue;
    }
    const length = data.length - at;
    if (sought.some((needle) => length < needle.length && needle.compare(data, at, data.length, 0, length) === 0)) {
      return at;
    }
  }
  return data.length;
}
