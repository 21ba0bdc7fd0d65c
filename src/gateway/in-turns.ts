/**
 * Runs long work on the gateway's one thread in slices of a few milliseconds, so that others are served in between. The work
 * yields wherever it may be interrupted.
 */
export interface InTurnsOptions {
  /** how long one piece may take */
  readonly pieceMs?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
  readonly nextTurn?: ((goOn: () => void) => void) | undefined;
}

export async function inTurns<T>(work: Generator<void, T, void>, options: InTurnsOptions = {}): Promise<T> {
  const { pieceMs = 8, nowMs = () => performance.now(), nextTurn = setImmediate } = options;
  for (let startedMs = nowMs(); ;) {
    const step = work.next();
    if (step.done === true) {
      return step.value;
    }
    if (nowMs() - startedMs >= pieceMs) {
      // oxlint-disable-next-line no-await-in-loop -- to wait is the point
      await new Promise<void>((resolve) => nextTurn(resolve));
      startedMs = nowMs();
    }
  }
}
