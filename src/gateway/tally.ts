import { otherKeys, summariser } from '../journal/summarise.ts';
import type { JournalEntry } from '../journal/record.ts';

/** Counts similar entries of a flood and reports each kind once a second, with its exact number. */
export interface Tally {
  readonly count: (entry: JournalEntry) => void;
  /** states what has been counted so far */
  readonly write: () => void;
}

const everyMs = 1000;

/** `kinds`: how many different entries are counted apart; the rest is counted together. */
export function createTally(state: (entry: JournalEntry) => void, kinds = 256): Tally {
  // Whether an entry gets a line of its own was decided before, for all kinds together: here all are counted.
  const counted = summariser({ perSecond: 0, maxKeys: kinds });
  const entries = new Map<string, JournalEntry>();
  let timer: NodeJS.Timeout | undefined;
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (const { key, count } of counted.drain(Number.POSITIVE_INFINITY)) {
      const entry = entries.get(key);
      if (entry !== undefined) {
        state({ ...entry, detail: { repeated: count } });
      }
    }
    entries.clear();
  };
  return {
    count(entry) {
      const key = `${entry.action} ${entry.outcome} ${entry.subject}`;
      counted.allow(key, 0);
      if (entries.has(key) || entries.size < kinds) {
        entries.set(key, entry);
      } else {
        entries.set(otherKeys, { ...entry, subject: 'several', outcome: 'several' });
      }
      timer ??= setTimeout(write, everyMs);
    },
    write,
  };
}
