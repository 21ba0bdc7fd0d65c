import type { Clock } from '../system/clock.ts';
import type { Journal, JournalEntry } from '../journal/record.ts';
import { createRate } from './rate.ts';
import { createTally } from './tally.ts';

/**
 * What the journal says about one sandbox's traffic. Permission is one durable line `net.open` before the first byte leaves; the
 * end of the same exchange is one line `net.exchange` with the same number; a denial is one line `net.exchange` alone. So every
 * effect is counted once by its `net.exchange`, and a `net.open` without one was cut off by a crash. Floods of denials are
 * counted exactly and written as one line a second for each kind.
 */
export interface Recorder {
  /** Resolves when durable. False: the journal cannot be written, so nothing may leave. */
  readonly open: (effect: Effect) => Promise<boolean>;
  readonly end: (effect: Effect, outcome: string, detail: Detail) => void;
  readonly deny: (effect: Effect, denial: Denial) => Promise<void>;
  /** An effect that no exchange is, before it is carried out. Resolves when durable. False: it may not be. */
  readonly effect: (action: string, effect: Effect) => Promise<boolean>;
  /** Something noteworthy beside an exchange, such as a phantom in a wrong place. */
  readonly note: (action: string, effect: Effect, outcome: string) => void;
  /** Permissions whose end was not stated yet. */
  readonly unended: () => number;
  /** Resolves when all that was stated is written. From here on an end is written at once. */
  readonly flush: () => Promise<void>;
}

export type Detail = Readonly<Record<string, string | number | boolean>>;

export interface Effect {
  /** `host:port` */
  readonly subject: string;
  readonly rule?: string | undefined;
  /** keyed hash */
  readonly credential?: string | undefined;
  readonly detail: Detail;
}

export interface Denial {
  readonly reason: string;
  /** default `net.exchange` */
  readonly action?: string | undefined;
}

export interface RecorderOptions {
  readonly journal: Journal;
  readonly sandboxId: string;
  /** of an agent, whose sandbox it is; named in each line */
  readonly server?: string | undefined;
  /** asked for each line: rules may be replaced */
  readonly policyHash: () => string;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** Denials a second that get a line of their own; the others are counted. */
const deniedLinesPerSecond = 20;

export function createRecorder(options: RecorderOptions): Recorder {
  const rate = createRate(deniedLinesPerSecond, options.clock);
  const writer = createWriter(options);
  const ends = createBatch((entry) => void writer.write(entry));
  let unended = 0;
  const write = (entry: JournalEntry): Promise<boolean> => {
    ends.write();
    return writer.write(entry);
  };
  const about: Detail = options.server === undefined ? {} : { server: options.server };
  const tally = createTally((entry) => void write({ ...entry, detail: { ...entry.detail, ...about } }));
  const entryOf = (
    { detail, subject, rule, credential }: Effect,
    rest: Pick<JournalEntry, 'action' | 'decision' | 'outcome'>,
  ): JournalEntry => ({
    sandbox: options.sandboxId,
    actor: 'sandbox',
    subject,
    ...rest,
    policy: options.policyHash(),
    detail: { ...detail, ...about },
    ...(rule === undefined ? {} : { rule }),
    ...(credential === undefined ? {} : { credential }),
  });
  return {
    async open(effect) {
      unended += 1;
      const isWritten = await write(entryOf(effect, { action: 'net.open', decision: 'allow', outcome: 'ok' }));
      unended -= isWritten ? 0 : 1;
      return isWritten;
    },
    end(effect, outcome, detail) {
      unended -= 1;
      const whole = { ...effect, detail: { ...effect.detail, ...detail } };
      ends.add(entryOf(whole, { action: 'net.exchange', decision: 'allow', outcome }));
    },
    async deny(effect, { reason, action = 'net.exchange' }) {
      const entry = entryOf(effect, { action, decision: 'deny', outcome: reason });
      if (rate.take()) {
        await write(entry);
      } else {
        tally.count(entry);
      }
    },
    effect: (action, effect) => write(entryOf(effect, { action, decision: 'allow', outcome: 'accepted' })),
    note(action, effect, outcome) {
      void write(entryOf(effect, { action, decision: 'none', outcome }));
    },
    unended: () => unended,
    async flush() {
      tally.write();
      ends.close();
      await writer.flush();
    },
  };
}

interface Batch {
  readonly add: (entry: JournalEntry) => void;
  readonly write: () => void;
  /** Writes what waits, and from here on each as it comes. */
  readonly close: () => void;
}

/**
 * Nobody waits for the end of an exchange to be durable, so it goes to disk with the sandbox's next line: a write of its own
 * would be one more for each exchange, and the next permission would wait for it. Without a next line it is written soon.
 */
const endsWaitMs = 50;
const endsWaiting = 256;

function createBatch(state: (entry: JournalEntry) => void): Batch {
  let waiting: JournalEntry[] = [];
  // Runs out by itself: to clear it and set it anew costs more than to find nothing once.
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const write = (): void => {
    if (waiting.length > 0) {
      const entries = waiting;
      waiting = [];
      entries.forEach(state);
    }
  };
  return {
    add(entry) {
      waiting.push(entry);
      if (isClosed || waiting.length >= endsWaiting) {
        write();
        return;
      }
      timer ??= setTimeout(() => {
        timer = undefined;
        write();
      }, endsWaitMs);
    },
    write,
    close() {
      isClosed = true;
      write();
    },
  };
}

interface Writer {
  /** false: the journal did not take it */
  readonly write: (entry: JournalEntry) => Promise<boolean>;
  readonly flush: () => Promise<void>;
}

function createWriter({ journal, onFailure }: RecorderOptions): Writer {
  const pending = new Set<Promise<unknown>>();
  return {
    async write(entry) {
      const writing = journal.append(entry);
      pending.add(writing);
      try {
        await writing;
        return true;
      } catch (error) {
        onFailure(error);
        return false;
      } finally {
        pending.delete(writing);
      }
    },
    async flush() {
      while (pending.size > 0) {
        // oxlint-disable-next-line no-await-in-loop -- more may have been stated meanwhile
        await Promise.allSettled(pending);
      }
    },
  };
}
