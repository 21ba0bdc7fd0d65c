/**
 * The buffers that relayed connections read into: one small buffer for each connection, which is reused, and a much larger one
 * while much is arriving. That halves the processor time of each byte.
 */
export interface Room {
  /** the buffer of now */
  readonly now: () => Buffer;
  /** `isOut`: nobody holds the bytes that were read, so that the next ones may come elsewhere */
  readonly learn: (count: number, isOut: boolean) => void;
  readonly leave: (isHeld: boolean) => void;
}

const smallBytes = 16 * 1024;
const wideBytes = 256 * 1024;
/** So many wide buffers at most, of all connections together. */
const widest = 32;
/** A wide buffer that is filled less than an eighth so often in a row is given back. */
const poorReads = 8;

const spare: Buffer[] = [];
/** Short connections follow each other: theirs are used again, up to so many. */
const spareSmall: Buffer[] = [];
const keptSmall = 64;
let lent = 0;

export function createRoom(): Room {
  const small = spareSmall.pop() ?? Buffer.allocUnsafeSlow(smallBytes);
  let now: Buffer = small;
  let poor = 0;
  const giveBack = (isHeld: boolean): void => {
    if (now !== small) {
      lent -= 1;
      // A write that is under way still reads it.
      if (!isHeld) {
        spare.push(now);
      }
      now = small;
    }
  };
  return {
    now: () => now,
    learn(count, isOut) {
      poor = count < now.length / 8 ? poor + 1 : 0;
      if (!isOut) {
        return;
      }
      if (now === small && count === smallBytes && lent < widest) {
        lent += 1;
        now = spare.pop() ?? Buffer.allocUnsafeSlow(wideBytes);
      } else if (poor >= poorReads) {
        giveBack(false);
      }
    },
    leave(isHeld) {
      const holdsSmall = isHeld && now === small;
      giveBack(isHeld);
      if (!holdsSmall && spareSmall.length < keptSmall) {
        spareSmall.push(small);
      }
    },
  };
}
