import { CasemateError } from '../base/errors.ts';
import type { Clock } from '../system/clock.ts';
import { appendQueue } from './append-queue.ts';
import { checkpointLine, maxUnsigned, signWitness, type Witness } from './checkpoint.ts';
import { lineHash, noLine, placeEntry, type Place } from './encode-record.ts';
import { jumpDetail, wallClock } from './clock-jump.ts';
import type { JournalKeys } from './journal-keys.ts';
import type { Journal, JournalEntry, JournalRecord } from './record.ts';
import type { SegmentWriter } from './segment-writer.ts';

/** The chain of an open journal: gives each entry its place, signs checkpoints, keeps the witness up to date. */

export interface JournalWriterParts {
  readonly store: SegmentWriter;
  readonly keys: JournalKeys;
  readonly clock: Clock;
  /** the last record there is */
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string } | undefined;
  /** records since the last checkpoint */
  readonly unsigned: number;
  readonly checkpointEvery?: number | undefined;
  readonly checkpointAfterMs?: number | undefined;
  readonly saveWitness: (witness: Witness) => Promise<void>;
  readonly release: () => void;
}

export interface JournalWriter {
  readonly journal: Journal;
  /** First records of this opening; only then is the journal handed out. */
  readonly begin: (found: { readonly healedBytes: number; readonly hasWitness: boolean }) => Promise<void>;
}

interface Head {
  readonly seq: number;
  readonly hash: string;
  readonly unsigned: number;
}

interface Stated {
  readonly seq: number;
  readonly hash: string;
  readonly time: string;
}

export function journalWriter(parts: JournalWriterParts): JournalWriter {
  const { store, keys, clock, saveWitness } = parts;
  const checkpointEvery = Math.min(maxUnsigned, Math.max(1, parts.checkpointEvery ?? maxUnsigned));
  const start: Head = { seq: parts.head?.seq ?? 0, hash: parts.head?.hash ?? noLine, unsigned: parts.unsigned };
  const queue = appendQueue(start, store);
  const now = wallClock(clock, parts.head?.time);
  let timer: NodeJS.Timeout | undefined;
  let witnessFault: unknown;
  let stated: Promise<void> | undefined;
  let closed = false;

  const witness = latestOnly(async (head: Stated) => {
    try {
      await saveWitness(signWitness(head, keys));
      witnessFault = undefined;
    } catch (error) {
      witnessFault = error;
      throw error;
    }
  });

  /** Signs the present head in the chain, at once; the witness follows when the line is durable. */
  const stateHead = (): Promise<void> => {
    stated = stateNow();
    return stated;
  };

  const stateNow = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const place = nextPlace(queue.state(), now().time);
    const line = checkpointLine(place, keys);
    const hash = lineHash(line);
    await queue.push(line, { seq: place.seq, hash, unsigned: 0 });
    await witness({ seq: place.seq, hash, time: place.time });
  };

  /** The same, unless the present head is a checkpoint already. */
  const stateHeadOnce = async (): Promise<void> => {
    if (queue.state().unsigned > 0 || stated === undefined) {
      await stateHead();
    } else {
      await stated.catch(() => stateHead());
    }
  };

  // Its failure is kept in `witnessFault` or in the queue, and stops the next append.
  const stateHeadSoon = (): void => {
    stateHead().catch(() => undefined);
  };

  const write = async (entry: JournalEntry): Promise<JournalRecord> => {
    const { time, jumpMs } = now();
    const detail = jumpDetail(entry.detail, jumpMs);
    const { record, line } = placeEntry(detail === undefined ? entry : { ...entry, detail }, nextPlace(queue.state(), time));
    const unsigned = queue.state().unsigned + 1;
    const durable = queue.push(line, { seq: record.seq, hash: lineHash(line), unsigned });
    if (unsigned >= checkpointEvery) {
      stateHeadSoon();
    } else {
      timer ??= setTimeout(stateHeadSoon, parts.checkpointAfterMs ?? 5000).unref();
    }
    await durable;
    return record;
  };

  const refuseIfUnable = (): void => {
    const broken = queue.broken();
    if (closed || broken !== undefined) {
      throw new CasemateError('JOURNAL_UNWRITABLE', broken?.message ?? 'the journal is closed', { cause: broken, hint: broken?.hint });
    }
    if (witnessFault !== undefined) {
      // Without a witness the tail is not guarded; try again, for the next one who asks.
      stateHeadSoon();
      throw witnessFault;
    }
  };

  const journal: Journal = {
    async append(entry) {
      refuseIfUnable();
      if (entry.action.startsWith('journal.')) {
        throw new CasemateError('INTERNAL', `the action ${entry.action} belongs to the journal itself`);
      }
      return await write(entry);
    },
    credentialHash: keys.credentialHash,
    async checkpoint() {
      if (closed || queue.broken() !== undefined) {
        refuseIfUnable();
      }
      await stateHeadOnce();
    },
    async close() {
      if (closed) {
        return;
      }
      closed = true;
      try {
        if (queue.broken() === undefined) {
          await stateHeadOnce();
        }
      } finally {
        clearTimeout(timer);
        await queue.idle();
        await store.close();
        parts.release();
      }
    },
  };

  return {
    journal,
    async begin({ healedBytes, hasWitness }) {
      if (healedBytes > 0) {
        await write(ownEntry('journal.healed', { bytes: healedBytes }));
      }
      await write(ownEntry('journal.opened', { key: keys.keyId, witness: hasWitness ? 'matched' : 'absent' }));
      await stateHead();
    },
  };
}

function nextPlace(head: Head, time: string): Place {
  return { seq: head.seq + 1, time, previous: head.hash };
}

function ownEntry(action: string, detail: NonNullable<JournalEntry['detail']>): JournalEntry {
  return { actor: 'daemon', action, subject: 'journal', decision: 'none', outcome: 'ok', detail };
}

/** Runs `save` for the newest head only; a head that came while one was being saved waits and stands for all before it. */
function latestOnly(save: (head: Stated) => Promise<void>): (head: Stated) => Promise<void> {
  let newest: Stated | undefined;
  let running = Promise.resolve();
  return async (head) => {
    newest = newest === undefined || head.seq > newest.seq ? head : newest;
    const turn = running.then(async () => {
      const taken = newest;
      newest = undefined;
      await (taken === undefined ? undefined : save(taken));
    });
    running = turn.catch(() => undefined);
    await turn;
  };
}
