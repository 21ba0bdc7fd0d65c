import { CasemateError, isCasemateError } from '../base/errors.ts';

/**
 * Group commit: lines wait while the batch before them is written and synced, then go to disk together. The queue knows nothing
 * of records; `state` is what its owner must return to if lines turn out not to be durable.
 */
export interface BatchStore {
  /** Writes and syncs. Throws when the bytes may not be durable. */
  readonly write: (bytes: Buffer) => Promise<void>;
  /** Takes back what a failed `write` may have left. Throws when it cannot: then nothing may follow. */
  readonly takeBack: () => Promise<void>;
}

export interface AppendQueue<State> {
  /** The state after the newest line, durable or not: what the next line is built on. */
  readonly state: () => State;
  /** Resolves when the line is durable. `after` becomes the state. */
  readonly push: (line: string, after: State) => Promise<void>;
  /** Resolves when what has been pushed is settled. */
  readonly idle: () => Promise<void>;
  /** Why nothing can be appended any more. */
  readonly broken: () => CasemateError | undefined;
}

interface Batch<State> {
  lines: string[];
  waiting: { resolve: () => void; reject: (error: unknown) => void }[];
  after: State;
}

export function appendQueue<State>(start: State, store: BatchStore): AppendQueue<State> {
  let durable = start;
  let pending = emptyBatch(start);
  let running: Promise<void> | undefined;
  let broken: CasemateError | undefined;

  const fail = async (batch: Batch<State>, error: unknown): Promise<void> => {
    // What waits behind was built on lines that do not exist now.
    const behind = pending;
    pending = emptyBatch(durable);
    try {
      await store.takeBack();
    } catch (fault) {
      broken = isCasemateError(fault)
        ? fault
        : new CasemateError('JOURNAL_UNWRITABLE', 'the journal is in an unknown state', { cause: fault });
      pending.waiting.forEach((waiter) => waiter.reject(broken));
      pending = emptyBatch(durable);
    }
    [...batch.waiting, ...behind.waiting].forEach((waiter) => waiter.reject(error));
  };

  const drain = async (): Promise<void> => {
    while (pending.lines.length > 0) {
      const batch = pending;
      pending = emptyBatch(batch.after);
      try {
        // oxlint-disable-next-line no-await-in-loop -- one batch after the other is the point
        await store.write(Buffer.from(batch.lines.join('')));
        durable = batch.after;
        batch.waiting.forEach((waiter) => waiter.resolve());
        // Those who were waiting append again in their own turn: let them join the next batch.
        // oxlint-disable-next-line no-await-in-loop -- see above
        await nextTurn();
      } catch (error) {
        // oxlint-disable-next-line no-await-in-loop -- nothing may be written before this is settled
        await fail(batch, error);
      }
    }
    running = undefined;
  };

  return {
    state: () => pending.after,
    broken: () => broken,
    push(line, after) {
      if (broken !== undefined) {
        return Promise.reject(broken);
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      pending.lines.push(line, '\n');
      pending.waiting.push({ resolve, reject });
      pending.after = after;
      running ??= nextTurn().then(drain);
      return promise;
    },
    idle: async () => {
      await running;
    },
  };
}

function emptyBatch<State>(after: State): Batch<State> {
  return { lines: [], waiting: [], after };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
