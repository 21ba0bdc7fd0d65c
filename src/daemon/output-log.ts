import { closeSync, constants, openSync, writeSync } from 'node:fs';

import { visible } from '../base/text.ts';

/** Stores the output of commands without a terminal on the host, for `casemate logs` by whoever started them. */
export interface OutputLog {
  readonly write: (piece: Buffer) => void;
  readonly close: () => void;
}

const maxLogBytes = 4 * 1024 * 1024;

/** A full disk ends the keeping of output, not the command; `warn` is told once. */
export function openOutputLog(path: string, warn: (text: string) => void): OutputLog | undefined {
  let room = maxLogBytes;
  const giveUp = (error: unknown): void => {
    room = 0;
    warn(`output is not kept for casemate logs: ${visible(error instanceof Error ? error.message : '')}`);
  };
  let file: number;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    giveUp(error);
    return undefined;
  }
  return {
    write(piece) {
      const kept = piece.subarray(0, room);
      room -= kept.length;
      if (kept.length > 0) {
        try {
          writeSync(file, kept);
        } catch (error) {
          giveUp(error);
        }
      }
    },
    close: () => closeSync(file),
  };
}
