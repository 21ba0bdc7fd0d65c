/**
 * Shares the gateway's one thread among sandboxes: in each turn of the event loop each may move a fixed amount of content, and
 * the rest waits for the next turn. Alone on the thread, a sandbox is not slowed down.
 */
export interface Pace {
  /** False: the turn's share is used up; read on when `later` says so. */
  readonly take: (bytes: number) => boolean;
  readonly later: (goOn: () => void) => void;
}

const shareBytes = 512 * 1024;
/** What a TLS handshake with a caller takes of it: as long as twice 64 KiB do. */
export const handshakeBytes = 128 * 1024;
/** What a request takes of it, whatever becomes of it: HTTP/2 brings a hundred with one read of each connection. */
export const requestBytes = 64 * 1024;
/** Each of them brings a piece of 64 KiB at most with the next turn. */
const wokenAtOnce = shareBytes / (64 * 1024);

export function createPace(nextTurn: (work: () => void) => void = setImmediate): Pace {
  let left = shareBytes;
  let isTurning = false;
  const waiting: (() => void)[] = [];
  const turn = (): void => {
    left = shareBytes;
    isTurning = false;
    waiting.splice(0, wokenAtOnce).forEach((goOn) => goOn());
    if (waiting.length > 0) {
      schedule();
    }
  };
  const schedule = (): void => {
    if (!isTurning) {
      isTurning = true;
      nextTurn(turn);
    }
  };
  return {
    take(bytes) {
      left -= bytes;
      schedule();
      return left > 0;
    },
    later: (goOn) => void waiting.push(goOn),
  };
}

/** Takes so much of the share. `undefined`: it was there; otherwise resolves in a later turn, when there is some again. */
export function turnFor(pace: Pace, bytes: number): Promise<void> | undefined {
  return pace.take(bytes) ? undefined : new Promise<void>((resolve) => pace.later(resolve));
}
