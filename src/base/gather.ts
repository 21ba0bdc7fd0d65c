/**
 * Collects bytes that arrive in pieces until they are wanted as a whole. Small pieces are copied together: kept apart, each
 * single byte that a slow peer sends would hold an object a hundred times its size, and the block it was cut from.
 */
export interface Gathered {
  /** bytes held */
  readonly size: () => number;
  /** may keep the piece itself, which must not change afterwards */
  readonly add: (piece: Buffer) => void;
  /** all of it, in order; from now on nothing is held */
  readonly take: () => Buffer;
}

const small = 4096;
const blockBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

export function gather(): Gathered {
  let parts: Buffer[] = [];
  let size = 0;
  let block = nothing;
  let used = 0;
  const closeBlock = (): void => {
    if (used > 0) {
      parts.push(block.subarray(0, used));
      block = block.subarray(used);
      used = 0;
    }
  };
  const copy = (piece: Buffer): void => {
    if (used + piece.length > block.length) {
      closeBlock();
      block = Buffer.allocUnsafeSlow(blockBytes);
    }
    used += piece.copy(block, used);
  };
  return {
    size: () => size,
    add(piece) {
      size += piece.length;
      if (piece.length >= small) {
        closeBlock();
        parts.push(piece);
      } else if (piece.length > 0) {
        copy(piece);
      }
    },
    take() {
      closeBlock();
      const [only = nothing] = parts;
      const whole = parts.length > 1 ? Buffer.concat(parts) : only;
      parts = [];
      size = 0;
      return whole;
    },
  };
}

/**
 * All of a stream; `undefined` where it is longer than so many bytes, or than there is room for when it has grown to them. `read
 * on`: to its end all the same, for a peer that is answered, and hung up on, before it has sent all that it sends does not come
 * to reading the answer.
 */
export async function gathered(
  source: AsyncIterable<Uint8Array>,
  mostBytes: number | ((size: number) => boolean),
  beyond: 'break off' | 'read on' = 'break off',
): Promise<Buffer | undefined> {
  const held = gather();
  const fits = typeof mostBytes === 'number' ? (size: number): boolean => size <= mostBytes : mostBytes;
  let isLonger = false;
  for await (const piece of source) {
    if (!isLonger) {
      // A copy: whoever gave the piece may write over it.
      held.add(Buffer.from(piece));
      isLonger = !fits(held.size());
    }
    if (isLonger) {
      held.take();
      if (beyond === 'break off') {
        return undefined;
      }
    }
  }
  return isLonger ? undefined : held.take();
}
