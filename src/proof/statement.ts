import canonicalize from 'canonicalize';

import { CasemateError } from '../base/errors.ts';
import { attestationFault, type Attestation } from '../journal/attest.ts';
import { sha256Of } from '../policy/hash.ts';
import type { Finding, Verdict } from './finding.ts';
import type { GuaranteeId } from './guarantees.ts';
import { verdictsOf, type GuaranteeVerdict } from './prove.ts';
import { probes } from './probes.ts';

/**
 * The part of a proof that is signed: the verdicts, a digest of everything that was observed, and what they are about. Anyone
 * with a report can check it offline with the public key; the installation's journal has its digest too.
 */
export interface Statement {
  readonly version: 1;
  readonly kind: 'casemate proof';
  /** RFC 3339, of the signing daemon */
  readonly time: string;
  readonly casemate: string;
  readonly target: {
    readonly name: string;
    /** `undefined`: a throw-away sandbox of the policy */
    readonly sandbox?: string | undefined;
  };
  readonly profile: string;
  /** the guarantees it was limited to */
  readonly only?: readonly string[] | undefined;
  readonly policyHash: string;
  readonly planHash: string;
  readonly image: { readonly recipe: string; readonly digest: string };
  readonly engine: string;
  readonly runtime: string;
  /** as the engine read it back from the runtime */
  readonly runtimeVersion: string;
  readonly kernel: string;
  readonly architecture: string;
  /** layers whose absence a person accepted */
  readonly waived: readonly string[];
  readonly verdicts: Readonly<Partial<Record<GuaranteeId, Verdict>>>;
  readonly probes: number;
  readonly observations: number;
  /** SHA-256 over the canonical JSON (RFC 8785) of the findings, hex */
  readonly findings: string;
}

/** What the prover knows and the daemon does not: it adds the rest itself. */
export interface Outcome {
  readonly profile: string;
  readonly only?: readonly string[] | undefined;
  readonly verdicts: Statement['verdicts'];
  readonly probes: number;
  readonly observations: number;
  readonly findings: string;
}

/** Everything in one file: what `--json` prints and `--verify` reads. */
export interface Report {
  readonly statement: Statement;
  readonly attestation: Attestation;
  readonly verdicts: readonly GuaranteeVerdict[];
  readonly findings: readonly Finding[];
}

export function outcomeOf(
  proof: { readonly findings: readonly Finding[]; readonly verdicts: readonly GuaranteeVerdict[] },
  choice: { readonly profile: string; readonly only?: readonly string[] | undefined },
): Outcome {
  const { findings, verdicts } = proof;
  return {
    ...choice,
    verdicts: Object.fromEntries(verdicts.map(({ guarantee, verdict }) => [guarantee, verdict])),
    probes: findings.length,
    observations: findings.reduce((sum, { rows }) => sum + rows.length, 0),
    findings: sha256Of(findings),
  };
}

/** The text that is signed. */
export function statementText(statement: Statement): string {
  const text = canonicalize(statement);
  if (text === undefined) {
    throw new CasemateError('INTERNAL', 'a statement is not plain data');
  }
  return text;
}

/** The worst of all verdicts, as the journal names the outcome. */
export function overall(verdicts: Statement['verdicts']): 'held' | 'broken' | 'inconclusive' {
  const all = Object.values(verdicts);
  if (all.includes('broken')) {
    return 'broken';
  }
  return all.includes('inconclusive') || !all.includes('held') ? 'inconclusive' : 'held';
}

/** Why a report is not what was signed, or `undefined`. The verdicts are computed again from what was seen. */
export function reportFault({ statement, attestation, verdicts, findings }: Report): string | undefined {
  const broken = attestationFault('proof', statementText(statement), attestation);
  if (broken !== undefined) {
    return broken;
  }
  if (sha256Of(findings) !== statement.findings) {
    return 'what was seen differs from what was signed';
  }
  const listed = Object.fromEntries(verdicts.map(({ guarantee, verdict }) => [guarantee, verdict]));
  if (sha256Of(listed) !== sha256Of(statement.verdicts)) {
    return 'the verdicts differ from those that were signed';
  }
  return undefined;
}

/** Whether this version of the program comes to the same verdicts from what was seen. */
export function agrees({ statement, findings }: Report): boolean {
  const again = Object.fromEntries(
    verdictsOf(probes, findings, statement.only).map(({ guarantee, verdict }) => [guarantee, verdict]),
  );
  return sha256Of(again) === sha256Of(statement.verdicts);
}
