import { toCasemateError } from '../base/errors.ts';
import { combine, type Finding, type Row, type Seen, type Verdict } from './finding.ts';
import { guaranteeIds, isGuaranteeId, type GuaranteeId } from './guarantees.ts';
import { observe, type Answers } from './inside/observe.ts';
import type { Lab } from './lab/lab.ts';
import { hasOwnKernel } from './outside/gvisor-processes.ts';
import { judgeWaived } from './waived.ts';
import type { Watch } from './watch/watch.ts';
import type { Bench, Probe, ProbeTable, SandboxProbe } from './probe.ts';
import type { Target } from './target.ts';
import { withVisibleCommand } from './visible-command.ts';

/** Runs probes against a sandbox, one after another, and gives a verdict on each guarantee that they attack. */

export interface ProveOptions {
  readonly target: Target;
  readonly uid: number;
  readonly probes: ProbeTable;
  /** as it was chosen by: gives a verdict on these guarantees alone */
  readonly only?: readonly string[] | undefined;
  /** made when the first probe needs it */
  readonly lab?: (() => Promise<Lab>) | undefined;
  /** what lies around the sandbox */
  readonly watch?: Watch | undefined;
  readonly onStart?: ((title: string) => void) | undefined;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GuaranteeVerdict {
  readonly guarantee: GuaranteeId;
  readonly verdict: Verdict;
  /** ids of probes */
  readonly probes: readonly string[];
}

export interface Proof {
  readonly findings: readonly Finding[];
  readonly verdicts: readonly GuaranteeVerdict[];
}

export async function prove(options: ProveOptions): Promise<Proof> {
  const { target, uid, probes, watch } = options;
  const rows = Object.entries(probes);
  const questions = questionsOf(probes, watch);
  const answers: Answers = questions.length === 0 ? new Map() : await observe(target.inside, questions, watch?.tells);
  const ownKernel = await hasOwnKernel(target);
  const bench: Bench = { target, uid, ownKernel, answer: (question) => answerTo(answers, question) };
  const findings: Finding[] = [];
  for (const [id, probe] of rows) {
    options.signal?.throwIfAborted();
    options.onStart?.(probe.title);
    // oxlint-disable-next-line no-await-in-loop -- one attack at a time: two would see each other
    const finding = await attempt(id, probe, { bench, lab: options.lab, watch });
    findings.push(finding);
    options.onFinding?.(finding);
  }
  return { findings, verdicts: verdictsOf(probes, findings, options.only) };
}

interface Means {
  readonly bench: Bench;
  readonly lab: ProveOptions['lab'];
  readonly watch: Watch | undefined;
}

/** A probe that breaks off has proved nothing. */
async function attempt(id: string, probe: Probe, means: Means): Promise<Finding> {
  const started = performance.now();
  const finish = (seen: Seen): Finding => ({
    probe: id,
    ...judgeWaived(seen, probe.layers, means.bench.target.plan?.waive),
    rows: 'rows' in seen ? seen.rows : [],
    ms: Math.round(performance.now() - started),
  });
  try {
    return finish(await runProbe(probe, means));
  } catch (thrown) {
    const { message } = toCasemateError(thrown);
    return { ...finish({ rows: [] }), verdict: 'inconclusive', why: `the probe broke off: ${message}` };
  }
}

/** Without a watch nobody could tell the questions about it where to look. */
function questionsOf(probes: ProbeTable, watch: Watch | undefined): readonly string[] {
  const asking = Object.values(probes).filter(({ where }) => where !== 'watched' || watch !== undefined);
  return [...new Set(asking.flatMap(({ asks }) => asks ?? []))];
}

async function runProbe(probe: Probe, { bench, lab, watch }: Means): Promise<Seen> {
  if (probe.where === 'sandbox') {
    const [seen, outside] = await Promise.all([probe.run(bench), lookedAt(probe, bench)]);
    return 'rows' in seen ? { rows: [...seen.rows, ...outside] } : seen;
  }
  if (probe.where === 'watched') {
    return watch === undefined ? { notApplicable: 'nothing is planted around this sandbox' } : await probe.run(bench, watch);
  }
  return lab === undefined
    ? { notApplicable: 'it needs the lab, which the full profile has' }
    : await probe.run(await lab(), bench);
}

async function lookedAt({ outside }: SandboxProbe, { target, uid }: Bench): Promise<readonly Row[]> {
  return outside === undefined ? [] : withVisibleCommand(target, () => outside(target, uid), uid);
}

function answerTo(answers: Answers, question: string): unknown {
  const found = answers.get(question);
  if (found === undefined || 'missing' in found) {
    throw new Error(`no answer to "${question}": ${found === undefined ? 'it was not asked' : found.missing}`);
  }
  return found.answer;
}

/**
 * In the order of the guarantees; those that no probe of this run attacks are left out, and those beside `only`, where
 * that names guarantees at all.
 */
export function verdictsOf(
  probes: ProbeTable,
  findings: readonly Finding[],
  only: readonly string[] = [],
): readonly GuaranteeVerdict[] {
  const named = only.filter(isGuaranteeId);
  const asked = named.length === 0 ? guaranteeIds : guaranteeIds.filter((id) => named.includes(id));
  return asked.flatMap((guarantee) => {
    const own = findings.filter(({ probe }) => probes[probe]?.proves.includes(guarantee));
    return own.length === 0
      ? []
      : [{ guarantee, verdict: combine(own.map(({ verdict }) => verdict)), probes: own.map(({ probe }) => probe) }];
  });
}
