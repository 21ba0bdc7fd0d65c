import type { Readable, Writable } from 'node:stream';

import { ContentStream } from './content-stream.ts';
import { passWhole, type BodyStep } from './body-steps.ts';
import type { Pace } from './pace.ts';
import { WrittenContent } from './written-content.ts';

/** What a piece counts for at least, by the time it took: no usual one takes so long. */
const bytesPerMs = 64 * 1024;

/** Moves a body from one stream to another with back-pressure, through a step that may change the bytes. */
export interface PumpOptions {
  readonly step?: BodyStep | undefined;
  /** asked at the end of the source: whether it really was complete */
  readonly isWhole?: (() => boolean) | undefined;
  readonly onBytes?: ((count: number) => void) | undefined;
  /** called when all of the source has gone through, before the target is ended */
  readonly beforeEnd?: (() => void) | undefined;
  /** the sandbox's share of the thread */
  readonly pace?: Pace | undefined;
}

/** Ends `to` when `from` has ended. Rejects when either breaks before, or a step throws; then `to` is left as it is. */
export function pump(from: Readable, to: Writable, options: PumpOptions = {}): Promise<void> {
  const whole = from instanceof ContentStream && !to.destroyed ? from.takeWhole() : undefined;
  return whole === undefined ? pumpPieces(from, to, options) : pumpWhole(whole, to, options);
}

/** Most answers are small and there at once: no stream has to say so. */
async function pumpWhole(whole: Buffer, to: Writable, { step, onBytes, pace, beforeEnd }: PumpOptions): Promise<void> {
  onBytes?.(whole.length);
  pace?.take(whole.length);
  const bytes = step === undefined ? whole : passWhole(step, whole);
  beforeEnd?.();
  if (to instanceof WrittenContent) {
    to.writeWhole(bytes);
  } else {
    to.on('error', () => undefined);
    to.end(bytes);
  }
}

function pumpPieces(from: Readable, to: Writable, options: PumpOptions): Promise<void> {
  if (from.destroyed && !from.readableEnded) {
    // Its events are over: nobody would hear of it.
    return Promise.reject(new Error('the source was cut'));
  }
  if (to instanceof WrittenContent) {
    to.await();
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Asked before an error is made: most streams close after their end, and a stack costs more than the rest of this.
  let isDone = false;
  const finish = (error?: Error): void => {
    if (isDone) {
      return;
    }
    isDone = true;
    from.off('data', take);
    to.off('drain', flow.drained);
    if (error === undefined) {
      resolve();
    } else {
      from.pause();
      reject(error);
    }
  };
  const flow = createFlow(from, { to, pace: options.pace, isDone: () => isDone });
  // A step refuses content by throwing; outside of a listener of ours nobody would catch it.
  const guarded = (work: () => void): void => {
    try {
      work();
    } catch (thrown) {
      finish(thrown instanceof Error ? thrown : new Error('a step failed'));
    }
  };
  const { step } = options;
  const passOn = (piece: Buffer): void => {
    options.onBytes?.(piece.length);
    const startedMs = step === undefined ? 0 : performance.now();
    const passed = step === undefined ? piece : step.push(piece);
    flow.write(passed, step === undefined ? piece.length : weightOf(piece, startedMs));
  };
  const take = (piece: Buffer): void => guarded(() => passOn(piece));
  const end = (): void => {
    const rest = step?.finish();
    options.beforeEnd?.();
    to.end(rest);
    finish();
  };
  from.on('data', take);
  from.once('end', () => {
    if (options.isWhole?.() === false) {
      finish(new Error('the source was cut'));
    } else if (!isDone) {
      guarded(end);
    }
  });
  from.on('error', finish);
  to.on('error', finish);
  from.once('close', () => finish(isDone ? undefined : new Error('the source was cut')));
  to.once('close', () => finish(isDone ? undefined : new Error('the target was closed')));
  to.on('drain', flow.drained);
  return promise;
}

/** Ten thousand frames of a WebSocket fit into one piece, and take as long as many pieces. */
function weightOf({ length }: Buffer, startedMs: number): number {
  return Math.max(length, Math.ceil((performance.now() - startedMs) * bytesPerMs));
}

interface Flow {
  /** `bytes` go on; the source waits while the target is full, or the turn's share of `taken` bytes is used up */
  readonly write: (bytes: Buffer, taken: number) => void;
  readonly drained: () => void;
}

interface FlowOptions {
  readonly to: Writable;
  readonly pace: Pace | undefined;
  readonly isDone: () => boolean;
}

function createFlow(from: Readable, { to, pace, isDone }: FlowOptions): Flow {
  let isPaced = false;
  const goOn = (): void => {
    isPaced = false;
    if (!isDone() && !to.writableNeedDrain) {
      from.resume();
    }
  };
  return {
    write(bytes, taken) {
      if (bytes.length > 0 && !isDone() && !to.write(bytes)) {
        from.pause();
      }
      if (pace?.take(taken) === false && !isPaced) {
        isPaced = true;
        from.pause();
        pace.later(goOn);
      }
    },
    drained() {
      if (!isPaced) {
        from.resume();
      }
    },
  };
}
