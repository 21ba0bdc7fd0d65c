import { maxUnsigned } from './checkpoint.ts';
import { noLine } from './encode-record.ts';
import { orderFault, overdue, type BlockScan } from './scan-block.ts';

/** Joins the scans of a journal's blocks, in order, to one chain. Pure. */
export interface Chain {
  readonly records: number;
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string } | undefined;
  /** records after the last checkpoint */
  readonly unsigned: number;
  readonly signedThrough: number;
  readonly wantedHash: string | undefined;
}

export const emptyChain: Chain = { records: 0, head: undefined, unsigned: 0, signedThrough: 0, wantedHash: undefined };

export type Linked =
  | { readonly chain: Chain; readonly fault?: undefined }
  /** `line` counts from the start of the scan; `chain` ends before it */
  | { readonly chain: Chain; readonly fault: { readonly line: number; readonly why: string } };

export function linkScan(chain: Chain, scan: BlockScan): Linked {
  const { first, last } = scan;
  if (first === undefined || last === undefined) {
    return scan.fault === undefined ? { chain } : { chain, fault: scan.fault };
  }
  const why = orderFault(chain.head ?? { seq: 0, hash: noLine }, first);
  if (why !== undefined) {
    return { chain, fault: { line: 1, why } };
  }
  if (chain.unsigned + scan.leading > maxUnsigned) {
    return { chain, fault: { line: maxUnsigned - chain.unsigned + 1, why: overdue() } };
  }
  const next: Chain = {
    records: chain.records + scan.lines,
    head: last,
    unsigned: scan.signedThrough === 0 ? chain.unsigned + scan.lines : scan.trailing,
    signedThrough: scan.signedThrough === 0 ? chain.signedThrough : scan.signedThrough,
    wantedHash: scan.wantedHash ?? chain.wantedHash,
  };
  return scan.fault === undefined ? { chain: next } : { chain: next, fault: scan.fault };
}
