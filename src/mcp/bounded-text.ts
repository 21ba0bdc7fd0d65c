import { gather } from '../base/gather.ts';

/** Shortens output of any length to a bounded text: its beginning and its end, with a note of what was left out between. */
export interface BoundedText {
  readonly take: (piece: Buffer) => void;
  /** bytes that are not in `text()` */
  readonly omitted: () => number;
  readonly text: () => string;
}

export function boundedText(maxBytes: number): BoundedText {
  const headBytes = Math.ceil(maxBytes / 2);
  const tailBytes = maxBytes - headBytes;
  // Output may come byte by byte: small pieces are copied together.
  const head = gather();
  const tail = gather();
  let total = 0;
  const trimmed = (): Buffer => {
    const joined = tail.take();
    const kept = joined.subarray(Math.max(0, joined.length - tailBytes));
    tail.add(kept);
    return kept;
  };
  const between = (): number => {
    trimmed();
    return total - head.size() - tail.size();
  };
  return {
    take(piece) {
      total += piece.length;
      const first = piece.subarray(0, Math.max(0, headBytes - head.size()));
      head.add(first);
      tail.add(piece.subarray(first.length));
      if (tail.size() > 2 * tailBytes + 65_536) {
        trimmed();
      }
    },
    omitted: between,
    text() {
      const left = between();
      const [first, last] = [head.take(), trimmed()];
      head.add(first);
      const note = `\n[${left} bytes left out here]\n`;
      return left === 0 ? Buffer.concat([first, last]).toString('utf8') : first.toString('utf8') + note + last.toString('utf8');
    },
  };
}
