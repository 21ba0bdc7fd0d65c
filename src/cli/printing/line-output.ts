import { once } from 'node:events';

/** Writes to standard output at the reader's pace. If the reader has gone (`| head`), the output ends, not the program. */
export interface LineOutput {
  readonly write: (text: string) => Promise<void>;
  readonly isClosed: () => boolean;
}

export function lineOutput(stream: NodeJS.WritableStream): LineOutput {
  let closed = false;
  stream.on('error', () => {
    closed = true;
  });
  return {
    isClosed: () => closed,
    async write(text) {
      if (!closed && !stream.write(text)) {
        await Promise.race([once(stream, 'drain'), once(stream, 'close')]).catch(() => undefined);
      }
    },
  };
}
