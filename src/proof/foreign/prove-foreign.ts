import type { Finding } from '../finding.ts';
import { observe } from '../inside/observe.ts';
import type { ProbeTable } from '../probe.ts';
import { prove, verdictsOf, type Proof, type ProveOptions } from '../prove.ts';
import type { Watch } from '../watch/watch.ts';
import type { CommandTemplate } from './command-template.ts';
import { foreignTarget, type ForeignTarget } from './foreign-target.ts';
import { greet } from './greet.ts';
import type { Identity } from './run-foreign.ts';

/** Attacks a sandbox that someone else's command makes, and removes what was left in its folder. */
export interface ForeignProofOptions extends Pick<ProveOptions, 'uid' | 'probes' | 'only' | 'onStart' | 'onFinding' | 'signal'> {
  readonly template: CommandTemplate;
  readonly watch: Watch;
  /** environment of the command, beside what the watch puts into it */
  readonly env: Readonly<Record<string, string>>;
  readonly as?: Identity | undefined;
  /** for one start of the sandbox and what runs in it */
  readonly timeoutMs: number;
}

export async function proveForeign(options: ForeignProofOptions): Promise<Proof> {
  const { template, watch, env, as, timeoutMs, signal, ...rest } = options;
  const target = foreignTarget({ template, folders: watch.folders, env: { ...env, ...watch.env }, as, timeoutMs, signal });
  const { mute } = await greet(target);
  if (mute !== undefined) {
    return undecided(options.probes, mute, options);
  }
  try {
    return await prove({ ...rest, target, watch, signal });
  } finally {
    await target.close();
    await sweep(target, watch);
  }
}

/** Nothing was seen, so nothing is said to hold. */
function undecided(probes: ProbeTable, why: string, { only, onFinding }: ForeignProofOptions): Proof {
  const findings = Object.keys(probes).map((probe): Finding => ({ probe, verdict: 'inconclusive', why, rows: [], ms: 0 }));
  findings.forEach((finding) => onFinding?.(finding));
  return { findings, verdicts: verdictsOf(probes, findings, only) };
}

/** What belongs to another user inside can only be removed from inside. */
async function sweep({ inside }: ForeignTarget, { tells }: Watch): Promise<void> {
  await observe(inside, ['sweep'], tells).catch(() => undefined);
}
