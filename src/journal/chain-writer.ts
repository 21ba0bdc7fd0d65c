import type { CasemateError } from '../base/errors.ts';
import type { Clock } from '../system/clock.ts';
import { appendQueue, type BatchStore } from './append-queue.ts';
import { checkpointLine, maxUnsigned, signWitness, type Witness } from './checkpoint.ts';
import { jumpDetail, wallClock } from './clock-jump.ts';
import { lineHash, noLine, placeEntry, type Place } from './encode-record.ts';
import type { JournalKeys } from './journal-keys.ts';
import type { JournalEntry, JournalRecord } from './record.ts';
import { witnessKeeper } from './witness-keeper.ts';

/** The growing end of the chain: gives each entry its sequence number and hash, and signs the head when it is due. */
export interface ChainWriter {
  /** Resolves when the record is durable. */
  readonly write: (entry: JournalEntry) => Promise<JournalRecord>;
  /** Signs the present head, unless it is a checkpoint already; resolves when the witness says so too. */
  readonly stateHead: () => Promise<void>;
  /** Starts the same without waiting; a failure shows in `fault`. */
  readonly stateHeadSoon: () => void;
  /** Why nothing can be appended any more. */
  readonly broken: () => CasemateError | undefined;
  /** Why the witness lags behind. */
  readonly witnessFault: () => CasemateError | undefined;
  /** Resolves when nothing is under way; signs nothing by itself any more. */
  readonly stop: () => Promise<void>;
}

export interface ChainWriterParts {
  readonly store: BatchStore;
  readonly keys: JournalKeys;
  readonly clock: Clock;
  /** the last record there is */
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string } | undefined;
  /** records since the last checkpoint */
  readonly unsigned: number;
  readonly checkpointEvery?: number | undefined;
  readonly checkpointAfterMs?: number | undefined;
  readonly saveWitness: (witness: Witness) => Promise<void>;
}

interface Head {
  readonly seq: number;
  readonly hash: string;
  readonly unsigned: number;
}

export function chainWriter(parts: ChainWriterParts): ChainWriter {
  const { store, keys, clock, saveWitness } = parts;
  const checkpointEvery = Math.min(maxUnsigned, Math.max(1, parts.checkpointEvery ?? maxUnsigned));
  const start: Head = { seq: parts.head?.seq ?? 0, hash: parts.head?.hash ?? noLine, unsigned: parts.unsigned };
  const queue = appendQueue(start, store);
  const witness = witnessKeeper((head) => saveWitness(signWitness(head, keys)));
  const now = wallClock(clock, parts.head?.time);
  let stated: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  // The line takes its place at once, before any other append; the witness follows when it is durable.
  const stateNow = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const place = nextPlace(queue.state(), now().time);
    const line = checkpointLine(place, keys);
    const hash = lineHash(line);
    await queue.push(line, { seq: place.seq, hash, unsigned: 0 });
    await witness.save({ seq: place.seq, hash, time: place.time });
  };
  const restate = (): Promise<void> => {
    stated = stateNow();
    return stated;
  };
  const stateHead = (): Promise<void> => (queue.state().unsigned > 0 || stated === undefined ? restate() : stated.catch(restate));
  const stateHeadSoon = (): void => {
    stateHead().catch(() => undefined);
  };

  return {
    async write(entry) {
      const { time, jumpMs } = now();
      const { record, line } = placeEntry(withDetail(entry, jumpDetail(entry.detail, jumpMs)), nextPlace(queue.state(), time));
      const unsigned = queue.state().unsigned + 1;
      const durable = queue.push(line, { seq: record.seq, hash: lineHash(line), unsigned });
      if (unsigned >= checkpointEvery) {
        stateHeadSoon();
      } else {
        timer ??= setTimeout(stateHeadSoon, parts.checkpointAfterMs ?? 5000).unref();
      }
      await durable;
      return record;
    },
    stateHead,
    stateHeadSoon,
    broken: queue.broken,
    witnessFault: witness.fault,
    async stop() {
      clearTimeout(timer);
      await queue.idle();
    },
  };
}

function nextPlace(head: Head, time: string): Place {
  return { seq: head.seq + 1, time, previous: head.hash };
}

function withDetail(entry: JournalEntry, detail: JournalEntry['detail']): JournalEntry {
  return detail === entry.detail ? entry : { ...entry, detail };
}
