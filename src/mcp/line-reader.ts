import { lineSplitter } from '../base/line-splitter.ts';

/**
 * Splits output that arrives in pieces into lines. A line longer than a bound is dropped whole, because half an event says
 * nothing.
 */
export interface LineReader {
  readonly take: (piece: Buffer) => void;
  /** What stands behind the last line feed is a line, too. */
  readonly end: () => void;
}

const maxLineBytes = 8 * 1024 * 1024;

export function lineReader(line: (text: string) => void): LineReader {
  const lines = lineSplitter(maxLineBytes);
  const tell = (bytes: Buffer | undefined): void => {
    if (bytes !== undefined) {
      line(bytes.toString('utf8'));
    }
  };
  return {
    take: (piece) => lines.take(piece).forEach(tell),
    end: () => tell(lines.rest()),
  };
}
