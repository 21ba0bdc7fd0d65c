import type { Readable, Writable } from 'node:stream';

import type { BodyStep } from './body-steps.ts';

/** Moves a body from one stream to another with back-pressure, through a step that may change the bytes. */
export interface PumpOptions {
  readonly step?: BodyStep | undefined;
  /** asked at the end of the source: whether it really was complete */
  readonly isWhole?: (() => boolean) | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** Ends `to` when `from` has ended. Rejects when either breaks before; then `to` is left as it is. */
export function pump(from: Readable, to: Writable, { step, isWhole, onBytes }: PumpOptions = {}): Promise<void> {
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
  const take = (piece: Buffer): void => {
    onBytes?.(piece.length);
    const bytes = step === undefined ? piece : step.push(piece);
    if (bytes.length > 0 && !to.write(bytes)) {
      from.pause();
    }
  };
  const resume = (): void => {
    from.resume();
  };
  from.on('data', take);
  from.once('end', () => {
    if (isWhole?.() === false) {
      finish(new Error('the source was cut'));
    } else if (!isDone) {
      to.end(step?.finish());
      finish();
    }
  });
  from.on('error', finish);
  to.on('error', finish);
  from.once('close', () => finish(new Error('the source was cut')));
  to.once('close', () => finish(new Error('the target was closed')));
  to.on('drain', resume);
  return promise;
}
