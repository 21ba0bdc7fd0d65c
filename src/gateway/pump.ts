import type { Readable, Writable } from 'node:stream';

import type { BodyStep } from './body-steps.ts';

/** Moves a body from one stream to another with back-pressure, through a step that may change the bytes. */
export interface PumpOptions {
  readonly step?: BodyStep | undefined;
  /** asked at the end of the source: whether it really was complete */
  readonly isWhole?: (() => boolean) | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
  /** called when all of the source has gone through, before the target is ended */
  readonly beforeEnd?: (() => void) | undefined;
}

/** Ends `to` when `from` has ended. Rejects when either breaks before, or a step throws; then `to` is left as it is. */
export function pump(from: Readable, to: Writable, { step, isWhole, onBytes, beforeEnd }: PumpOptions = {}): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let isDone = false;
  const finish = (error?: Error): void => {
    if (isDone) {
      return;
    }
    isDone = true;
    from.off('data', take);
    to.off('drain', resume);
    if (error === undefined) {
      resolve();
    } else {
      from.pause();
      reject(error);
    }
  };
  // A step refuses content by throwing; outside of a listener of ours nobody would catch it.
  const guarded = (work: () => void): void => {
    try {
      work();
    } catch (thrown) {
      finish(thrown instanceof Error ? thrown : new Error('a step failed'));
    }
  };
  const passOn = (piece: Buffer): void => {
    onBytes?.(piece.length);
    const bytes = step === undefined ? piece : step.push(piece);
    if (bytes.length > 0 && !isDone && !to.write(bytes)) {
      from.pause();
    }
  };
  const take = (piece: Buffer): void => guarded(() => passOn(piece));
  const end = (): void => {
    const rest = step?.finish();
    beforeEnd?.();
    to.end(rest);
    finish();
  };
  const resume = (): void => {
    from.resume();
  };
  from.on('data', take);
  from.once('end', () => {
    if (isWhole?.() === false) {
      finish(new Error('the source was cut'));
    } else if (!isDone) {
      guarded(end);
    }
  });
  from.on('error', finish);
  to.on('error', finish);
  from.once('close', () => finish(new Error('the source was cut')));
  to.once('close', () => finish(new Error('the target was closed')));
  to.on('drain', resume);
  return promise;
}
