import type { JournalEntry } from '../journal/record.ts';

/** Counts like entries of a flood and states each kind once a second, with its exact number. */
export interface Tally {
  readonly count: (entry: JournalEntry) => void;
  /** states what has been counted so far */
  readonly write: () => void;
}

const everyMs = 1000;
/** Different subjects that are counted apart; the rest is counted together. */
const countedSubjects = 256;

export function createTally(state: (entry: JournalEntry) => void): Tally {
  const rows = new Map<string, { readonly entry: JournalEntry; count: number }>();
  let timer: NodeJS.Timeout | undefined;
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (const { entry, count } of rows.values()) {
      state({ ...entry, detail: { repeated: count } });
    }
    rows.clear();
  };
  return {
    count(entry) {
      const exact = `${entry.action} ${entry.outcome} ${entry.subject}`;
      const isApart = rows.has(exact) || rows.size < countedSubjects;
      const key = isApart ? exact : `${entry.action} ${entry.outcome}`;
      const row = rows.get(key) ?? { entry: isApart ? entry : { ...entry, subject: 'several' }, count: 0 };
      row.count += 1;
      rows.set(key, row);
      timer ??= setTimeout(write, everyMs);
    },
    write,
  };
}
