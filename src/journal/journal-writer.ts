import { CasemateError } from '../base/errors.ts';
import { attest } from './attest.ts';
import { chainWriter, type ChainWriter, type ChainWriterParts } from './chain-writer.ts';
import { readBackwards } from './read-records.ts';
import type { JournalEntry, JournalRecord, SigningJournal } from './record.ts';
import type { SegmentWriter } from './segment-writer.ts';
import { listSegments } from './segments.ts';

/** What callers may do with an open journal, and when they are refused. */

export interface JournalWriterParts extends ChainWriterParts {
  readonly folder: string;
  readonly store: SegmentWriter;
  /** gives the lock back */
  readonly release: () => void;
}

/** Writes the first records of this opening, and only then hands the journal out. */
export async function beginJournal(
  parts: JournalWriterParts,
  found: { readonly healedBytes: number; readonly hasWitness: boolean },
): Promise<SigningJournal> {
  const chain = chainWriter(parts);
  if (found.healedBytes > 0) {
    await chain.write(ownEntry('journal.healed', { bytes: found.healedBytes }));
  }
  await chain.write(ownEntry('journal.opened', { key: parts.keys.keyId, witness: found.hasWitness ? 'matched' : 'absent' }));
  await chain.stateHead();
  return journalOn(chain, parts);
}

function journalOn(chain: ChainWriter, { folder, store, keys, release }: JournalWriterParts): SigningJournal {
  let closed = false;
  const refuseIfUnable = (): void => {
    const broken = chain.broken();
    if (closed || broken !== undefined) {
      throw new CasemateError('JOURNAL_UNWRITABLE', broken?.message ?? 'the journal is closed', {
        cause: broken,
        hint: broken?.hint,
      });
    }
  };
  const appendStated = async (entry: JournalEntry): Promise<JournalRecord> => {
    refuseIfUnable();
    // Without a witness the tail is not guarded. What failed may work by now; where it does not, nothing is appended.
    await chain.stateHead();
    refuseIfUnable();
    return await chain.write(foreign(entry));
  };
  return {
    // Twice for each exchange: one more asynchronous function would be made for each.
    append(entry) {
      if (closed || chain.broken() !== undefined || chain.witnessFault() !== undefined || isOwn(entry)) {
        return appendStated(entry);
      }
      return chain.write(entry);
    },
    credentialHash: keys.credentialHash,
    attest: (kind, text) => attest(kind, text, keys),
    newestFirst: () => newestFirst(folder),
    async checkpoint() {
      refuseIfUnable();
      await chain.stateHead();
    },
    async close() {
      if (closed) {
        return;
      }
      closed = true;
      try {
        await (chain.broken() === undefined ? chain.stateHead() : undefined);
      } finally {
        await chain.stop();
        await store.close();
        release();
      }
    },
  };
}

function isOwn({ action }: JournalEntry): boolean {
  return action.startsWith('journal.');
}

/** Throws where it is an entry that only the journal itself writes. */
function foreign(entry: JournalEntry): JournalEntry {
  if (isOwn(entry)) {
    throw new CasemateError('INTERNAL', `the action ${entry.action} belongs to the journal itself`);
  }
  return entry;
}

async function* newestFirst(folder: string): AsyncGenerator<JournalRecord> {
  for await (const { record } of readBackwards(await listSegments(folder))) {
    if (record !== undefined) {
      yield record;
    }
  }
}

function ownEntry(action: string, detail: NonNullable<JournalEntry['detail']>): JournalEntry {
  return { actor: 'daemon', action, subject: 'journal', decision: 'none', outcome: 'ok', detail };
}
