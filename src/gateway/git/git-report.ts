import { flushPkt, pktLine } from './git-pkt-line.ts';

/** Answers a refused push in git's own format (gitprotocol-pack(5), "Report Status"), so that git shows the reason. */
export interface RefusedPush {
  /** every reference of the push: a push is carried out as a whole or not at all */
  readonly updates: readonly { readonly ref: string; readonly why: string }[];
  readonly capabilities: readonly string[];
}

/** `lines` are shown to the person, each behind `remote:`. */
export function pushReport({ updates, capabilities }: RefusedPush, lines: readonly string[]): Buffer {
  const canReport = capabilities.some((one) => one === 'report-status' || one === 'report-status-v2');
  const report = canReport
    ? Buffer.concat([pktLine('unpack ok\n'), ...updates.map(({ ref, why }) => pktLine(`ng ${ref} ${why}\n`)), flushPkt])
    : Buffer.alloc(0);
  if (!capabilities.includes('side-band-64k')) {
    return report;
  }
  const bands = [
    ...lines.map((line) => band(2, Buffer.from(`${line.slice(0, 900)}\n`))),
    ...pieces(report, 60_000).map((piece) => band(1, piece)),
  ];
  return Buffer.concat([...bands, flushPkt]);
}

function band(number: number, content: Buffer): Buffer {
  return pktLine(Buffer.concat([Buffer.from([number]), content]));
}

function pieces(bytes: Buffer, size: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}
