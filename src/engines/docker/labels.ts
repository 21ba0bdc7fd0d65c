/**
 * The labels by which this installation knows its own containers: one without all of them is someone else's and is neither
 * listed nor touched. `engine` is a random number from the state folder, so that no image or person sets it by chance.
 */
export const labels = {
  engine: 'casemate.engine',
  owner: 'casemate.owner',
  sandbox: 'casemate.sandbox',
  part: 'casemate.part',
  /** of a container beside the sandbox: what its maker calls it and wrote on it */
  note: 'casemate.note',
  /** what of the sandbox's limits it takes while it runs: bytes, processes, processors */
  share: 'casemate.share',
} as const;

export type Part = 'keeper' | 'sandbox' | 'nested' | 'uplink' | 'observer';

export interface Marks {
  readonly engine: string;
  readonly owner: string;
  readonly sandbox: string;
}

export function labelsOf({ engine, owner, sandbox }: Marks, part: Part): Readonly<Record<string, string>> {
  return { [labels.engine]: engine, [labels.owner]: owner, [labels.sandbox]: sandbox, [labels.part]: part };
}
