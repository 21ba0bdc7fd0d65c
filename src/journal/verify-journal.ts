import type { KeyObject } from 'node:crypto';
import { stat } from 'node:fs/promises';

import { witnessKey, type Witness } from './checkpoint.ts';
import { explainLine, tooLong } from './explain-line.ts';
import { publicKeyPath, readPublicKey } from './journal-keys.ts';
import { emptyChain, linkScan, type Chain } from './link-scans.ts';
import { readBlocks } from './read-blocks.ts';
import type { BlockScan } from './scan-block.ts';
import { inlineScanner, threadScanner, type Scanner } from './scanner.ts';
import { listSegments, openSegment, type Segment } from './segments.ts';
import { maxLineBytes } from './encode-record.ts';
import { readWitness } from './witness.ts';

/**
 * What a valid verdict claims.
 *
 * With the witness: every record up to the witness's is the one that was written, in its place, and none is missing. That holds
 * even against someone who can write the journal and read its keys, but not write the witness. Records after it, up to the last
 * checkpoint, hold against anyone without the signing key; the records after that checkpoint, at most 1,000, are only chained.
 * Without the witness: the same against anyone without the signing key, except that a cut-off tail goes unnoticed. Nothing is
 * claimed against someone who holds the signing key and can write the witness, nor that a record is true.
 */
export interface JournalVerdict {
  readonly valid: boolean;
  readonly records: number;
  readonly segments: number;
  readonly head: Chain['head'];
  /** sequence of the last signed checkpoint; records after it are chained but not yet signed */
  readonly signedThrough: number;
  /** records since that checkpoint */
  readonly unsigned: number;
  /** sequence of the record the witness names; `undefined` without a witness */
  readonly witnessed: number | undefined;
  readonly fault: JournalFault | undefined;
}

/** The first bad line. */
export interface JournalFault {
  readonly segment: string;
  /** starts at 1; 0 when the fault is of the file as a whole */
  readonly line: number;
  readonly why: string;
  /** Set when the fault is an unfinished last line and nothing else: its size in bytes. A crash leaves such a line. */
  readonly tornBytes?: number | undefined;
}

export interface VerifyOptions {
  /** what the journal is measured by; `undefined`: tails that were cut off are not noticed */
  readonly witness?: Witness | undefined;
  /** used where there is no witness to pin the key */
  readonly publicKey?: KeyObject | undefined;
  /** how long an unfinished last line may still be under way; default 0 */
  readonly patienceMs?: number | undefined;
  readonly blockBytes?: number | undefined;
  /** default: as many as processors (at most 4) from 16 MiB on, else none but the caller's */
  readonly threads?: number | undefined;
}

/** Verifies the journal in `folder` against the witness at `witnessPath`. Throws `JOURNAL_INVALID` for links, pipes and the like. */
export async function verifyJournal(folder: string, options: { readonly witnessPath: string }): Promise<JournalVerdict> {
  // The witness first: a journal that grows meanwhile only gets ahead of it.
  const witness = await readWitness(options.witnessPath);
  const publicKey = await readPublicKey(publicKeyPath(folder));
  return await verifySegments(await listSegments(folder), { witness, publicKey, patienceMs: 200 });
}

/** Verifies segments in order, from record 1. */
export async function verifySegments(segments: readonly Segment[], options: VerifyOptions): Promise<JournalVerdict> {
  const { witness } = options;
  const publicKey = witness === undefined ? options.publicKey : witnessKey(witness);
  const start: Progress = { chain: emptyChain, fault: undefined };
  if (publicKey === undefined) {
    const why =
      witness === undefined ? 'there is no public key to check signatures with' : 'the signature of the witness is wrong';
    return verdictOf(
      { ...start, fault: { segment: witness === undefined ? 'keys' : 'witness', line: 0, why } },
      segments,
      options,
    );
  }
  const scanner = await scannerFor(segments, { ...options, scan: { publicKey, wanted: witness?.seq ?? 0 } });
  try {
    return verdictOf(await followChain(segments, scanner, options), segments, options);
  } finally {
    await scanner.close();
  }
}

const manyBytes = 16 * 1024 * 1024;

async function scannerFor(
  segments: readonly Segment[],
  options: VerifyOptions & { readonly scan: { readonly publicKey: KeyObject; readonly wanted: number } },
): Promise<Scanner> {
  const { threads, scan } = options;
  if (threads !== undefined) {
    return threads === 0 ? inlineScanner(scan) : threadScanner(scan, threads);
  }
  const sizes = await Promise.all(segments.map(async ({ path }) => (await stat(path)).size));
  return sizes.reduce((sum, size) => sum + size, 0) < manyBytes ? inlineScanner(scan) : threadScanner(scan);
}

interface Progress {
  readonly chain: Chain;
  readonly fault: JournalFault | undefined;
}

async function followChain(segments: readonly Segment[], scanner: Scanner, options: VerifyOptions): Promise<Progress> {
  let progress: Progress = { chain: emptyChain, fault: undefined };
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    // oxlint-disable-next-line no-await-in-loop -- each segment continues the chain of the one before
    progress = await followSegment(progress.chain, { segment, isLast }, { ...options, scanner });
    if (progress.fault !== undefined) {
      return progress;
    }
  }
  return progress;
}

interface Place {
  readonly segment: Segment;
  readonly isLast: boolean;
}

async function followSegment(
  before: Chain,
  place: Place,
  options: VerifyOptions & { readonly scanner: Scanner },
): Promise<Progress> {
  const { scanner, patienceMs, blockBytes } = options;
  const { name } = place.segment;
  const file = await openSegment(place.segment);
  const underWay: Promise<BlockScan>[] = [];
  let chain = before;
  let lines = 0;
  let rest: Buffer = Buffer.alloc(0);
  const linkNext = async (): Promise<JournalFault | undefined> => {
    const scan = await underWay.shift();
    const linked = scan === undefined ? { chain } : linkScan(chain, scan);
    const fault =
      linked.fault === undefined ? undefined : { segment: name, line: lines + linked.fault.line, why: linked.fault.why };
    chain = linked.chain;
    lines += scan?.lines ?? 0;
    return fault;
  };
  try {
    for await (const block of readBlocks(file, { blockBytes, patienceMs: place.isLast ? patienceMs : 0 })) {
      rest = block.rest;
      underWay.push(scanner.scan(block.bytes));
      const fault = underWay.length < scanner.width ? undefined : await linkNext();
      if (fault !== undefined) {
        return { chain, fault };
      }
    }
    while (underWay.length > 0) {
      // oxlint-disable-next-line no-await-in-loop -- in the order of the chain
      const fault = await linkNext();
      if (fault !== undefined) {
        return { chain, fault };
      }
    }
  } finally {
    await file.close();
    await Promise.allSettled(underWay);
  }
  return { chain, fault: restFault(rest, { ...place, line: lines + 1 }) };
}

function restFault(rest: Buffer, place: Place & { readonly line: number }): JournalFault | undefined {
  if (rest.length === 0) {
    return undefined;
  }
  const at = { segment: place.segment.name, line: place.line };
  if (rest.length >= maxLineBytes) {
    return { ...at, why: tooLong };
  }
  return place.isLast
    ? { ...at, why: `the last line is not finished (${rest.length} bytes): ${explainLine(rest)}`, tornBytes: rest.length }
    : { ...at, why: 'the segment ends in the middle of a line, but another follows it' };
}

function verdictOf({ chain, fault }: Progress, segments: readonly Segment[], { witness }: VerifyOptions): JournalVerdict {
  const found =
    fault?.tornBytes === undefined
      ? (fault ?? wholeFault(chain, segments, witness))
      : (wholeFault(chain, segments, witness) ?? fault);
  return {
    valid: found === undefined,
    records: chain.records,
    segments: segments.length,
    head: chain.head,
    signedThrough: chain.signedThrough,
    unsigned: chain.unsigned,
    witnessed: witness?.seq,
    fault: found,
  };
}

/** What only shows when all is read. A torn line is reported last: it is the least of the possible faults. */
function wholeFault(chain: Chain, segments: readonly Segment[], witness: Witness | undefined): JournalFault | undefined {
  const at = { segment: segments.at(-1)?.name ?? 'journal', line: 0 };
  const seq = chain.head?.seq ?? 0;
  if (witness !== undefined && witness.seq > seq) {
    return { ...at, why: `it ends with record ${seq}, but the witness has seen record ${witness.seq}: the tail was cut off` };
  }
  if (chain.records === 0) {
    return { ...at, why: 'it has no records' };
  }
  if (witness !== undefined && witness.hash !== chain.wantedHash) {
    return { ...at, why: `record ${witness.seq} is not the one the witness has seen: the journal was written anew` };
  }
  return chain.signedThrough > 0 ? undefined : { ...at, why: 'it has no signed checkpoint: anybody could have written it' };
}
