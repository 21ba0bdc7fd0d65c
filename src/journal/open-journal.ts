import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { privateFolder, writeDurably } from '../system/files.ts';
import { systemClock, type Clock } from '../system/clock.ts';
import type { Witness } from './checkpoint.ts';
import { openKeys, publicKeyPath, readPublicKey } from './journal-keys.ts';
import { beginJournal } from './journal-writer.ts';
import type { SigningJournal } from './record.ts';
import { segmentAt, listSegments } from './segments.ts';
import { segmentWriter, unwritable } from './segment-writer.ts';
import { unbegunBytes } from './unbegun.ts';
import { verifySegments, type JournalVerdict } from './verify-journal.ts';
import { encodeWitness, readWitness } from './witness.ts';
import { lockWriter } from './writer-lock.ts';

/**
 * Opens the single writer of a journal: takes the lock, verifies the files, repairs an unfinished last line, records that, and
 * signs.
 */

export interface OpenJournalOptions {
  /** made with mode 0700 if absent */
  readonly folder: string;
  /** the witness file, in another folder than the journal */
  readonly witnessPath: string;
  readonly clock?: Clock | undefined;
  /** default 32 MiB */
  readonly maxSegmentBytes?: number | undefined;
  /** A checkpoint at latest after so many records (at most 1,000, the default) ... */
  readonly checkpointEvery?: number | undefined;
  /** ... and so long after a record; default 5 s. */
  readonly checkpointAfterMs?: number | undefined;
  /** default: writes are durable when they return */
  readonly sync?: ((file: FileHandle) => Promise<void>) | undefined;
}

/**
 * Throws `JOURNAL_UNWRITABLE` when the journal cannot be written or another process writes it, `JOURNAL_INVALID` when what
 * is there was changed, shortened or damaged elsewhere than in its unfinished last line.
 */
export async function openJournal(options: OpenJournalOptions): Promise<SigningJournal> {
  const { folder, witnessPath } = options;
  if (dirname(resolve(witnessPath)) === resolve(folder)) {
    throw new CasemateError('INTERNAL', 'the witness must not lie in the folder of the journal');
  }
  await makeFolders(folder, dirname(witnessPath));
  const lock = await lockWriter(folder).catch((error: unknown) => {
    throw unwritable(error, join(folder, 'writer.lock'));
  });
  try {
    return await openLocked(options, lock.release);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function makeFolders(folder: string, witnessFolder: string): Promise<void> {
  await privateFolder(folder).catch((error: unknown) => {
    throw unwritable(error, folder);
  });
  // Others may read it (it can hold the user's policy too), but not write.
  await mkdir(witnessFolder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unwritable(error, witnessFolder);
  });
  if (((await lstat(witnessFolder)).mode & 0o022) !== 0) {
    throw new CasemateError('PATH_INVALID', `${witnessFolder} can be written by others`, {
      hint: `Run: chmod go-w ${witnessFolder}`,
    });
  }
}

async function openLocked(options: OpenJournalOptions, release: () => void): Promise<SigningJournal> {
  const { folder, witnessPath, clock = systemClock, maxSegmentBytes = 32 * 1024 * 1024, sync } = options;
  const found = await inspect(folder, witnessPath);
  const keys = await openKeys(folder, { isNew: found.verdict === undefined }).catch((error: unknown) => {
    throw unwritable(error, folder);
  });
  const healedBytes = await heal(folder, found);
  const segment = Math.max(1, found.segments);
  const store = await segmentWriter(folder, { segment, maxSegmentBytes, sync });
  const parts = {
    folder,
    store,
    keys,
    clock,
    head: found.verdict?.head,
    unsigned: found.verdict?.unsigned ?? 0,
    checkpointEvery: options.checkpointEvery,
    checkpointAfterMs: options.checkpointAfterMs,
    saveWitness: async (witness: Witness) => {
      await writeDurably(witnessPath, encodeWitness(witness)).catch((error: unknown) => {
        throw unwritable(error, witnessPath);
      });
    },
    release,
  };
  try {
    return await beginJournal(parts, { healedBytes, hasWitness: found.hasWitness });
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Found {
  /** `undefined`: there is no record yet */
  readonly verdict: JournalVerdict | undefined;
  readonly segments: number;
  readonly hasWitness: boolean;
  /** at the end of the last segment */
  readonly unfinishedBytes: number;
}

async function inspect(folder: string, witnessPath: string): Promise<Found> {
  const witness = await readWitness(witnessPath);
  const publicKey = await readPublicKey(publicKeyPath(folder));
  const segments = await listSegments(folder);
  const sizes = await Promise.all(segments.map(async ({ path }) => (await stat(path)).size));
  if (witness === undefined && sizes.every((size) => size === 0)) {
    return { verdict: undefined, segments: segments.length, hasWitness: false, unfinishedBytes: 0 };
  }
  const unbegun = witness === undefined ? await unbegunBytes(segments) : undefined;
  if (unbegun !== undefined) {
    return { verdict: undefined, segments: 1, hasWitness: false, unfinishedBytes: unbegun };
  }
  const verdict = await verifySegments(segments, { witness, publicKey });
  const { fault } = verdict;
  if (fault !== undefined && fault.tornBytes === undefined) {
    throw new CasemateError('JOURNAL_INVALID', `the journal is damaged: ${fault.segment}:${fault.line}: ${fault.why}`, {
      hint: `Nothing starts on it. Look with: casemate journal verify. To begin anew, move ${folder} and ${witnessPath} away together.`,
    });
  }
  return { verdict, segments: segments.length, hasWitness: witness !== undefined, unfinishedBytes: fault?.tornBytes ?? 0 };
}

/** Cuts what is unfinished at the end: its write never returned, so nobody was told that it was recorded. Answers the bytes cut. */
async function heal(folder: string, { verdict, unfinishedBytes: torn }: Found): Promise<number> {
  if (torn > 0) {
    const { path } = segmentAt(folder, verdict?.segments ?? 1);
    const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      await file.truncate((await file.stat()).size - torn);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(path, 0o600);
  }
  return torn;
}
