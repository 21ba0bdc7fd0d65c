/**
 * What a probe saw, and the verdict that follows. A probe never states a verdict: it is computed here from rows, so that an
 * attack without its control, or one that was not seen to end, can never count as held.
 */

/** There is no default: what was not seen to hold is not held. */
export type Verdict = 'held' | 'broken' | 'not-applicable' | 'inconclusive';

/** One observation. */
export interface Row {
  /** `attack`: must be refused; `control`: the nearest legal thing, must work in the same run, or the attack proves nothing */
  readonly kind: 'attack' | 'control';
  /** what was tried or read, e.g. `socket(AF_ALG)` */
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
  /** `undefined`: it cannot be told from what was seen, e.g. the kernel lacks the feature */
  readonly ok?: boolean | undefined;
  /** who saw it: a process in the sandbox, or this host looking at it (kernel, sink, canary, journal) */
  readonly from: 'inside' | 'outside';
}

export interface Finding {
  readonly probe: string;
  readonly verdict: Verdict;
  /** why it is not `held`, in one sentence; absent when held */
  readonly why?: string | undefined;
  readonly rows: readonly Row[];
  readonly ms: number;
}

/** What a probe hands back: rows, or the reason why there is nothing to attack here. */
export type Seen = { readonly rows: readonly Row[] } | { readonly notApplicable: string };

export function attack(what: string, facts: RowFacts): Row {
  return { kind: 'attack', what, from: 'inside', ...facts };
}

export function control(what: string, facts: RowFacts): Row {
  return { kind: 'control', what, from: 'inside', ...facts };
}

export interface RowFacts {
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean | undefined;
  /** default `inside` */
  readonly from?: Row['from'];
}

/** An attack that got through breaks a guarantee, whatever else was seen; without a working control nothing is held. */
export function judge(seen: Seen): { readonly verdict: Verdict; readonly why?: string } {
  if ('notApplicable' in seen) {
    return { verdict: 'not-applicable', why: seen.notApplicable };
  }
  const attacks = seen.rows.filter(({ kind }) => kind === 'attack');
  const controls = seen.rows.filter(({ kind }) => kind === 'control');
  const through = attacks.find(({ ok }) => ok === false);
  if (through !== undefined) {
    return { verdict: 'broken', why: `${through.what}: expected ${through.expected}, saw ${through.seen}` };
  }
  const open = attacks.find(({ ok }) => ok === undefined);
  const dead = controls.find(({ ok }) => ok !== true);
  if (attacks.length === 0 || controls.length === 0) {
    return {
      verdict: 'inconclusive',
      why: attacks.length === 0 ? 'nothing was attacked' : 'no control was run beside the attack',
    };
  }
  if (dead !== undefined) {
    return { verdict: 'inconclusive', why: `the control failed: ${dead.what}: expected ${dead.expected}, saw ${dead.seen}` };
  }
  return open === undefined
    ? { verdict: 'held' }
    : { verdict: 'inconclusive', why: `${open.what}: expected ${open.expected}, saw ${open.seen}` };
}

/** The verdict on a guarantee from those of its probes: the worst of them, and held only where at least one held. */
export function combine(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('broken')) {
    return 'broken';
  }
  if (verdicts.includes('inconclusive') || verdicts.length === 0) {
    return 'inconclusive';
  }
  return verdicts.includes('held') ? 'held' : 'not-applicable';
}
