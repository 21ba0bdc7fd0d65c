import { StringDecoder } from 'node:string_decoder';

/** Output that comes in pieces, as lines. One that is longer than a bound is dropped whole: half an event says nothing. */
export interface LineReader {
  readonly take: (piece: Buffer) => void;
  /** What stands behind the last line feed is a line, too. */
  readonly end: () => void;
}

const maxLineLength = 8 * 1024 * 1024;

export function lineReader(line: (text: string) => void): LineReader {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  let isDropping = false;
  return {
    take(piece) {
      const parts = (pending + decoder.write(piece)).split('\n');
      pending = parts.pop() ?? '';
      for (const part of parts) {
        if (!isDropping) {
          line(part);
        }
        isDropping = false;
      }
      if (pending.length > maxLineLength) {
        pending = '';
        isDropping = true;
      }
    },
    end() {
      if (pending !== '' && !isDropping) {
        line(pending);
      }
    },
  };
}
