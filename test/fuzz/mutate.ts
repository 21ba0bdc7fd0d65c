import type { Random } from './random.ts';

/** Changes an input a little, as AFL does: bits, bytes, numbers, pieces moved or doubled, words the format knows. */
export interface MutateOptions {
  readonly random: Random;
  readonly words: readonly Buffer[];
  /** another input, to cross with */
  readonly other: Buffer;
  readonly maxBytes: number;
}

type Change = (bytes: Buffer, options: MutateOptions) => Buffer;

const interesting = [0, 1, 0x0a, 0x0d, 0x20, 0x2e, 0x2f, 0x3a, 0x7f, 0x80, 0xfe, 0xff];

const changes: readonly Change[] = [
  (bytes, { random }) => put(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, { random }) => put(bytes, random, () => random.below(256)),
  (bytes, { random }) => put(bytes, random, () => random.pick(interesting)),
  (bytes, { random }) => put(bytes, random, (byte) => byte + random.pick([-1, 1, 16, -16])),
  (bytes, { random }) => splice(bytes, { at: random.below(bytes.length + 1), gone: 0, put: Buffer.from([random.below(256)]) }),
  (bytes, { random }) =>
    splice(bytes, {
      at: random.below(bytes.length + 1),
      gone: 1 + random.below(Math.min(16, bytes.length + 1)),
      put: Buffer.alloc(0),
    }),
  (bytes, { random, words }) =>
    words.length === 0 ? bytes : splice(bytes, { at: random.below(bytes.length + 1), gone: 0, put: random.pick(words) }),
  (bytes, { random, words }) => {
    const word = words.length === 0 ? Buffer.alloc(0) : random.pick(words);
    return splice(bytes, { at: random.below(bytes.length + 1), gone: word.length, put: word });
  },
  (bytes, { random }) => {
    const from = random.below(bytes.length + 1);
    return splice(bytes, { at: random.below(bytes.length + 1), gone: 0, put: bytes.subarray(from, from + 1 + random.below(64)) });
  },
  (bytes, { random, other }) =>
    Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1))]),
  (bytes, { random }) => bytes.subarray(0, random.below(bytes.length + 1)),
];

export function mutate(bytes: Buffer, options: MutateOptions): Buffer {
  let changed = bytes;
  for (let left = 1 + options.random.below(4); left > 0; left -= 1) {
    changed = options.random.pick(changes)(changed, options);
  }
  return Buffer.from(changed.subarray(0, options.maxBytes));
}

function put(bytes: Buffer, random: Random, change: (byte: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const at = random.below(copy.length);
  if (copy.length > 0) {
    copy[at] = change(copy[at] ?? 0) & 0xff;
  }
  return copy;
}

function splice(
  bytes: Buffer,
  { at, gone, put: added }: { readonly at: number; readonly gone: number; readonly put: Buffer },
): Buffer {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(Math.min(bytes.length, at + gone))]);
}
