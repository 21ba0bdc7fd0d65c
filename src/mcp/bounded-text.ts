/** Output of any length as a text of bounded length: its beginning and its end, with a note of what is between. */
export interface BoundedText {
  readonly take: (piece: Buffer) => void;
  /** bytes that are not in `text()` */
  readonly omitted: () => number;
  readonly text: () => string;
}

export function boundedText(maxBytes: number): BoundedText {
  const headBytes = Math.ceil(maxBytes / 2);
  const tailBytes = maxBytes - headBytes;
  const head: Buffer[] = [];
  let tail: Buffer[] = [];
  let headSize = 0;
  let tailSize = 0;
  let total = 0;
  const trim = (): void => {
    const joined = Buffer.concat(tail);
    tail = [joined.subarray(Math.max(0, joined.length - tailBytes))];
    tailSize = tail[0]?.length ?? 0;
  };
  return {
    take(piece) {
      total += piece.length;
      const first = piece.subarray(0, headBytes - headSize);
      if (first.length > 0) {
        head.push(first);
        headSize += first.length;
      }
      const rest = piece.subarray(first.length);
      if (rest.length > 0) {
        tail.push(rest);
        tailSize += rest.length;
        if (tailSize > 2 * tailBytes + 65_536) {
          trim();
        }
      }
    },
    omitted() {
      trim();
      return total - headSize - tailSize;
    },
    text() {
      trim();
      const left = total - headSize - tailSize;
      const note = left === 0 ? '' : `\n[${left} bytes left out here]\n`;
      return left === 0
        ? Buffer.concat([...head, ...tail]).toString('utf8')
        : Buffer.concat(head).toString('utf8') + note + Buffer.concat(tail).toString('utf8');
    },
  };
}
