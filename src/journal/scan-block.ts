import { isUtf8 } from 'node:buffer';
import { hash, type KeyObject } from 'node:crypto';

import { checkpointFault, maxUnsigned } from './checkpoint.ts';
import { maxLineBytes } from './encode-record.ts';
import { explainLine } from './explain-line.ts';
import { checkpointOpening, decodeRecord, isCanonicalDetail, lineGrammar } from './line-grammar.ts';

/**
 * Verifies a run of whole lines on its own: form, order, hashes, signatures. Pure, so that runs of one journal can be scanned in
 * parallel; `link-scans.ts` joins them.
 */
export interface BlockScan {
  /** good lines from the start; all of them where there is no fault */
  readonly lines: number;
  readonly first: { readonly seq: number; readonly previous: string } | undefined;
  readonly last: { readonly seq: number; readonly hash: string; readonly time: string } | undefined;
  /** records before the first checkpoint, or all */
  readonly leading: number;
  /** records after the last checkpoint, or all */
  readonly trailing: number;
  /** sequence of the last checkpoint, 0 without one */
  readonly signedThrough: number;
  /** hash of the line of record `wanted` */
  readonly wantedHash: string | undefined;
  readonly fault: { readonly line: number; readonly why: string } | undefined;
}

export interface ScanOptions {
  readonly publicKey: KeyObject;
  /** sequence of the record whose hash is wanted; 0 for none */
  readonly wanted: number;
}

/** `bytes` are whole lines: the last one ends in a line feed. */
export function scanBlock(bytes: Buffer, options: ScanOptions): BlockScan {
  const state = newState();
  const latin = bytes.toString('latin1');
  const grammar = lineGrammar();
  const wellFormed = isUtf8(bytes);
  let start = 0;
  while (start < bytes.length && state.why === undefined) {
    grammar.lastIndex = start;
    const match = grammar.exec(latin);
    const end = grammar.lastIndex;
    const line = bytes.subarray(start, Math.max(start, end - 1));
    if (match === null || end - start > maxLineBytes || !(wellFormed || isUtf8(bytes.subarray(start, end)))) {
      state.why = explainLine(lineAt(bytes, start));
      break;
    }
    takeLine(state, match, {
      bytes: line,
      options,
      isCheckpoint: latin.startsWith(checkpointOpening, start),
    });
    if (state.isUnchained) {
      // Which of the two lines was changed the one after them knows: it was chained to the second as that was written.
      grammar.lastIndex = end;
      const [, , chainedTo] = grammar.exec(latin) ?? [];
      blame(state, chainedTo === undefined ? 'either' : chainedTo === hash('sha256', line, 'hex') ? 'first' : 'second');
    }
    start = end;
  }
  return resultOf(state);
}

interface State {
  lines: number;
  firstSeq: number;
  firstPrevious: string;
  seq: number;
  hash: string;
  time: string;
  leading: number;
  trailing: number;
  signedThrough: number;
  wantedHash: string | undefined;
  why: string | undefined;
  /** the last line was not chained to the one before it */
  isUnchained: boolean;
  faultLine: number | undefined;
}

function newState(): State {
  return {
    lines: 0,
    firstSeq: 0,
    firstPrevious: '',
    seq: 0,
    hash: '',
    time: '',
    leading: 0,
    trailing: 0,
    signedThrough: 0,
    wantedHash: undefined,
    why: undefined,
    isUnchained: false,
    faultLine: undefined,
  };
}

function blame(state: State, changed: 'first' | 'second' | 'either'): void {
  const { lines, seq } = state;
  if (changed === 'either') {
    return;
  }
  state.why = `it was changed: ${changed === 'first' ? 'the next record was chained to another' : `it is not chained to record ${seq}, nor the next record to it`}`;
  state.faultLine = changed === 'first' ? lines : lines + 1;
}

interface Line {
  readonly bytes: Buffer;
  readonly options: ScanOptions;
  readonly isCheckpoint: boolean;
}

function takeLine(state: State, match: RegExpExecArray, line: Line): void {
  const [, detail, previous = '', seqText = '', time = ''] = match;
  const seq = Number(seqText);
  state.isUnchained = state.lines > 0 && seq === state.seq + 1 && previous !== state.hash;
  state.why = linkFault(state, seq, previous) ?? contentFault(detail, line) ?? signedFault(state, line);
  if (state.why !== undefined) {
    return;
  }
  if (state.lines === 0) {
    state.firstSeq = seq;
    state.firstPrevious = previous;
  }
  state.lines += 1;
  state.seq = seq;
  state.time = time;
  state.hash = hash('sha256', line.bytes, 'hex');
  if (seq === line.options.wanted) {
    state.wantedHash = state.hash;
  }
  countSigned(state, line.isCheckpoint);
}

function linkFault(state: State, seq: number, previous: string): string | undefined {
  return state.lines === 0 ? undefined : orderFault({ seq: state.seq, hash: state.hash }, { seq, previous });
}

/** Why a record cannot follow another, or `undefined` when it does. */
export function orderFault(
  before: { readonly seq: number; readonly hash: string },
  next: { readonly seq: number; readonly previous: string },
): string | undefined {
  if (next.seq !== before.seq + 1) {
    return `record ${next.seq} stands where record ${before.seq + 1} belongs: lines were removed, repeated, added or moved`;
  }
  return next.previous === before.hash
    ? undefined
    : `it or the line before it was changed: it was chained to another record ${before.seq}`;
}

function contentFault(detail: string | undefined, { bytes, options, isCheckpoint }: Line): string | undefined {
  if (detail !== undefined && !isCanonicalDetail(detail)) {
    return explainLine(bytes);
  }
  if (!isCheckpoint) {
    return undefined;
  }
  const record = decodeRecord(bytes);
  return record === undefined ? explainLine(bytes) : checkpointFault(record, options.publicKey);
}

function signedFault(state: State, { isCheckpoint }: Line): string | undefined {
  return !isCheckpoint && state.trailing >= maxUnsigned ? overdue() : undefined;
}

export function overdue(): string {
  return `more than ${maxUnsigned} records without a signed checkpoint: the writer never leaves so many`;
}

function countSigned(state: State, isCheckpoint: boolean): void {
  if (isCheckpoint) {
    state.signedThrough = state.seq;
    state.trailing = 0;
    return;
  }
  state.trailing += 1;
  if (state.signedThrough === 0) {
    state.leading += 1;
  }
}

function resultOf(state: State): BlockScan {
  const { lines, leading, trailing, signedThrough, wantedHash, why, faultLine = lines + 1 } = state;
  const isEmpty = lines === 0;
  return {
    lines,
    leading,
    trailing,
    signedThrough,
    wantedHash,
    first: isEmpty ? undefined : { seq: state.firstSeq, previous: state.firstPrevious },
    last: isEmpty ? undefined : { seq: state.seq, hash: state.hash, time: state.time },
    fault: why === undefined ? undefined : { line: faultLine, why },
  };
}

function lineAt(bytes: Buffer, start: number): Buffer {
  const end = bytes.indexOf(0x0a, start);
  return bytes.subarray(start, end < 0 ? bytes.length : end);
}
