import type { Finding } from '../../src/proof/finding.ts';
import type { Mutant } from './mutant.ts';
import type { Proved } from './prove-build.ts';

/** What came of one mutant. */
export interface MutantResult {
  readonly name: string;
  readonly weakens: string;
  /** `skipped`: here the guard is not there, or every probe that knows it has nothing to attack */
  readonly outcome: 'caught' | 'missed' | 'skipped';
  /** probes that said the guarantee is broken */
  readonly by: readonly string[];
  /** what is wrong, or why it was skipped */
  readonly why?: string | undefined;
  readonly ms: number;
}

/** Caught is what each probe it names calls broken. Pure. */
export function judgeMutant({ name, weakens, caughtBy }: Mutant, proved: Proved): MutantResult {
  const base = { name, weakens, ms: proved.ms };
  if ('fault' in proved) {
    return { ...base, outcome: 'missed', by: [], why: `there was no proof: ${proved.fault}` };
  }
  const { findings } = proved.proof;
  const by = findings.filter(({ verdict }) => verdict === 'broken').map(({ probe }) => probe);
  const silent = caughtBy.filter((id) => !by.includes(id));
  return silent.length === 0
    ? { ...base, outcome: 'caught', by }
    : { ...base, outcome: 'missed', by, why: silent.map((id) => `${id} said ${said(findings, id)}`).join('; ') };
}

function said(findings: readonly Finding[], id: string): string {
  const found = findings.find(({ probe }) => probe === id);
  return found === undefined ? 'nothing' : `${found.verdict}${found.why === undefined ? '' : ` (${found.why})`}`;
}

/**
 * What the product itself must be before a mutant can be told from it: every named probe held. Of those that are not
 * applicable here the mutants are skipped; any other is a fault of the probe or of this host.
 */
export function judgeBaseline(findings: readonly Finding[], ids: readonly string[]) {
  const notHeld = ids.map((id) => findings.find(({ probe }) => probe === id) ?? id);
  const absent = findings.filter(({ probe, verdict }) => verdict === 'not-applicable' && ids.includes(probe));
  const faults = notHeld.flatMap((finding) =>
    typeof finding === 'string'
      ? [`${finding} did not run`]
      : ['held', 'not-applicable'].includes(finding.verdict)
        ? []
        : [`${finding.probe}: ${finding.verdict}${finding.why === undefined ? '' : `: ${finding.why}`}`],
  );
  return { faults, absent: new Map(absent.map(({ probe, why }) => [probe, why ?? 'not applicable'])) };
}
