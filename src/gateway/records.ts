import type { Clock } from '../system/clock.ts';
import type { Journal, JournalEntry } from '../journal/record.ts';
import { createRate } from './rate.ts';

/**
 * What the journal says about one sandbox's traffic. The rule: permission is one durable line `net.open` before the
 * first byte leaves, the end of the same exchange is one line `net.exchange` with the same number; a denial is one
 * line `net.exchange` alone. So every effect is counted once by its `net.exchange`, and a `net.open` without one was cut
 * off by a crash. Floods of denials are counted exactly and written as one line a second for each kind.
 */
export interface Recorder {
  /** Resolves when durable. False: the journal cannot be written, so nothing may leave. */
  readonly open: (effect: Effect) => Promise<boolean>;
  readonly end: (effect: Effect, outcome: string, detail: Detail) => void;
  readonly deny: (effect: Effect, denial: Denial) => Promise<void>;
  /** Something noteworthy beside an exchange, such as a phantom in a wrong place. */
  readonly note: (action: string, effect: Effect, outcome: string) => void;
  /** Resolves when all that was stated is written. */
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
  readonly policyHash: string;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** Denials a second that get a line of their own; the others are counted. */
const deniedLinesPerSecond = 20;
const summaryMs = 1000;
/** Different subjects that are counted apart; the rest is counted together. */
const countedSubjects = 256;

export function createRecorder({ journal, sandboxId, policyHash, clock, onFailure }: RecorderOptions): Recorder {
  const rate = createRate(deniedLinesPerSecond, clock);
  const counted = new Map<string, { readonly entry: JournalEntry; count: number }>();
  const pending = new Set<Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;

  const entryOf = ({ subject, rule, credential, detail }: Effect, rest: Pick<JournalEntry, 'action' | 'decision' | 'outcome'>): JournalEntry => ({
    sandbox: sandboxId,
    actor: 'sandbox',
    subject,
    ...rest,
    policy: policyHash,
    detail,
    ...(rule === undefined ? {} : { rule }),
    ...(credential === undefined ? {} : { credential }),
  });
  const write = async (entry: JournalEntry): Promise<boolean> => {
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
  };
  const summarise = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (const [key, { entry, count }] of counted) {
      counted.delete(key);
      void write({ ...entry, detail: { repeated: count } });
    }
  };
  const count = (entry: JournalEntry): void => {
    const exact = `${entry.action} ${entry.outcome} ${entry.subject}`;
    const isRoom = counted.has(exact) || counted.size < countedSubjects;
    const key = isRoom ? exact : `${entry.action} ${entry.outcome}`;
    const row = counted.get(key) ?? { entry: isRoom ? entry : { ...entry, subject: 'several' }, count: 0 };
    row.count += 1;
    counted.set(key, row);
    timer ??= setTimeout(summarise, summaryMs);
  };
  return {
    open: (effect) => write(entryOf(effect, { action: 'net.open', decision: 'allow', outcome: 'ok' })),
    end(effect, outcome, detail) {
      void write(entryOf({ ...effect, detail: { ...effect.detail, ...detail } }, { action: 'net.exchange', decision: 'allow', outcome }));
    },
    async deny(effect, { reason, action = 'net.exchange' }) {
      const entry = entryOf(effect, { action, decision: 'deny', outcome: reason });
      if (rate.take()) {
        await write(entry);
      } else {
        count(entry);
      }
    },
    note(action, effect, outcome) {
      void write(entryOf(effect, { action, decision: 'none', outcome }));
    },
    async flush() {
      summarise();
      while (pending.size > 0) {
        // oxlint-disable-next-line no-await-in-loop -- more may have been stated meanwhile
        await Promise.allSettled(pending);
      }
    },
  };
}
