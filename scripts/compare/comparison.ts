/** What a comparison says: the form of `docs/comparison.json`, from which the page is made. */
import type { Finding } from '../../src/proof/finding.ts';

export interface Comparison {
  readonly casemate: string;
  /** of the run, RFC 3339, day only */
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly contenders: readonly Measured[];
}

export interface Measured {
  readonly name: string;
  /** of the tools that make it, as they say it themselves */
  readonly version: string;
  /** as it was run, with its places */
  readonly command: string;
  readonly user: 'root' | 'an ordinary user';
  /** why nothing was measured; then there are no findings */
  readonly missing?: string | undefined;
  /** with every row that was seen */
  readonly findings: readonly Finding[];
}

/** Attacks mean nothing where the legal thing beside them fails as well. */
export function controlsOf({ findings }: Measured): { readonly worked: number; readonly all: number } {
  const controls = findings.flatMap(({ rows }) => rows.filter(({ kind }) => kind === 'control'));
  return { worked: controls.filter(({ ok }) => ok === true).length, all: controls.length };
}
