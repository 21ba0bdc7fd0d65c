import { CasemateError } from '../../base/errors.ts';
import { refusalKey } from '../../gateway/asks/ask-refused.ts';
import type { AskView, Claim } from '../../gateway/asks/question.ts';
import { decideAsked } from '../../policy/judging/decide.ts';
import { grantRule, isWithinBound, type Grant } from '../../policy/proposing/grant-rule.ts';
import type { HttpAllowance, NetworkRule } from '../../policy/policy.ts';
import { risksOf } from '../../policy/proposing/risks.ts';
import { ruleWords } from '../../policy/proposing/words.ts';
import type { SandboxContext } from '../context.ts';
import { parsePlan } from '../plan/plan.ts';
import { rulingOf } from './ruling.ts';
import type { SandboxRow, StoredAnswer } from '../stored/store.ts';

/**
 * A person's answers to what a sandbox was denied. An answer is recorded before it has any effect, is bound to the request that
 * was shown, and never goes beyond what the organisation allows. Only the operator's calls lead here.
 */
export interface RequestView extends AskView {
  /** what `approve --sandbox` would add, in words; or why no rule can be made */
  readonly rule: string;
  readonly risks: readonly string[];
  /** a caller's word for it; says nothing about whether it is right */
  readonly plea?: Plea | undefined;
}

/** A caller asks that a person look at a request. It grants nothing. */
export interface Plea {
  readonly actor: string;
  readonly reason: string;
}

export interface Approval {
  readonly id: string;
  /** `once`: one held exchange; `sandbox`: until it is destroyed; `policy`: that too, and the caller writes a policy file */
  readonly scope: 'once' | 'sandbox' | 'policy';
  /** instead of exactly the method and path that were asked for */
  readonly functions?: readonly HttpAllowance[] | 'all' | undefined;
  /** of `policy`: the file that the caller writes */
  readonly file?: string | undefined;
  readonly actor: string;
}

export interface Approved {
  readonly view: AskView;
  readonly scope: Approval['scope'];
  /** in words; of `once` what went out */
  readonly allows: string;
}

const answersKept = 256;

/** What waits first, then the newest; more than a person reads at once is left out. */
const listed = 200;

export function listRequests(
  context: Pick<SandboxContext, 'asks'>,
  rulesOf: (sandbox: string) => readonly NetworkRule[],
): readonly RequestView[] {
  const sorted = context.asks
    .list()
    .toSorted((a, b) => Number(b.state === 'waiting') - Number(a.state === 'waiting') || b.sinceMs - a.sinceMs);
  return sorted.slice(0, listed).map((view) => ({
    ...view,
    ...wordsFor(view, rulesOf(view.sandbox)),
    plea: pleasOf(context.asks).get(view.id),
  }));
}

/** By id of the request; kept as long as the requests themselves, which do not outlive the daemon. */
const pleas = new WeakMap<object, Map<string, Plea>>();

const pleasKept = 512;

function pleasOf(asks: object): Map<string, Plea> {
  const known = pleas.get(asks) ?? new Map<string, Plea>();
  pleas.set(asks, known);
  return known;
}

/** Throws `REQUEST_GONE` for a request that is not of this sandbox or can no longer be answered. */
export async function plead(
  context: SandboxContext,
  { id, sandbox, actor, reason }: Plea & { readonly id: string; readonly sandbox: string },
): Promise<void> {
  const view = context.asks.list().find((one) => one.id === id && one.sandbox === sandbox);
  if (view === undefined) {
    throw new CasemateError('REQUEST_GONE', `no denied request of this sandbox has the id ${id}`, {
      hint: 'List its denied requests again.',
    });
  }
  const detail = { host: view.host, port: view.port, reason };
  await context.journal.append({
    sandbox,
    actor,
    action: 'request.plea',
    subject: id,
    decision: 'none',
    outcome: 'asked',
    detail,
  });
  const kept = pleasOf(context.asks);
  kept.set(id, { actor, reason });
  [...kept.keys()].slice(0, Math.max(0, kept.size - pleasKept)).forEach((old) => kept.delete(old));
}

function wordsFor(view: AskView, rules: readonly NetworkRule[]): Pick<RequestView, 'rule' | 'risks'> {
  const grant = grantRule(rules, view, { id: `approval:${view.id}` });
  return { rule: 'rule' in grant ? ruleWords(grant.rule) : `no rule: ${grant.fault}`, risks: risksOf(view) };
}

/** The rules in force for a sandbox of the state file; none where it is gone. */
export function liveRules({ store }: SandboxContext, sandbox: string): readonly NetworkRule[] {
  const row = store.find(sandbox);
  return row === undefined ? [] : rulingOf(parsePlan(row.plan), store.answers(row.id)).rules;
}

/** Throws `REQUEST_GONE`, `POLICY_WIDENS` beyond the organisation's rules, `USAGE` where no such rule can be made. */
export async function approve(context: SandboxContext, approval: Approval): Promise<Approved> {
  const claim = context.asks.claim(approval.id);
  try {
    return approval.scope === 'once' ? await allowOnce(context, claim, approval) : await allowFromNow(context, claim, approval);
  } finally {
    claim.release();
  }
}

async function allowOnce(context: SandboxContext, claim: Claim, { actor, functions }: Approval): Promise<Approved> {
  const { view } = claim;
  if (functions !== undefined) {
    throw new CasemateError('USAGE', 'what goes out once is the request as it is, no more and no less', {
      hint: 'Say which functions to allow together with --sandbox or --policy.',
    });
  }
  const late = (): CasemateError =>
    new CasemateError('REQUEST_GONE', `nobody waits for ${view.id} any more`, {
      hint: `Allow the next attempt: casemate approve ${view.id} --sandbox`,
    });
  if (view.held === 0) {
    throw late();
  }
  const allows = `${view.method ?? 'a connection to'} ${view.host}:${view.port}${view.path ?? ''}`;
  await record(context, view, { actor, action: 'ask.approve', scope: 'once', rule: `approval:${view.id}`, allows });
  if (!claim.allowOnce()) {
    throw late();
  }
  return { view, scope: 'once', allows };
}

async function allowFromNow(context: SandboxContext, { view }: Claim, approval: Approval): Promise<Approved> {
  const row = rowOf(context, view);
  const { rule, kept } = ruleFor(context, { view, row, functions: approval.functions });
  const { actor, scope, file } = approval;
  const allows = ruleWords(rule);
  await record(context, view, { actor, action: 'ask.approve', scope, rule: rule.id, allows, file });
  keep(context, row, { kind: 'allow', rules: [...kept, rule] });
  const ruling = rulingOf(parsePlan(row.plan), context.store.answers(row.id));
  context.gateway.update(row.id, ruling);
  context.asks.recheck(row.id, (question) => decideAsked(ruling.rules, question).verdict === 'allow');
  return { view, scope, allows };
}

interface RuleFacts {
  readonly view: AskView;
  readonly row: SandboxRow;
  readonly functions: Approval['functions'];
}

function ruleFor(context: SandboxContext, { view, row, functions }: RuleFacts): Extract<Grant, { rule: unknown }> {
  const grant = grantRule(liveRules(context, row.id), view, { id: `approval:${view.id}`, functions });
  if ('fault' in grant) {
    throw new CasemateError('USAGE', `no rule allows exactly this request: ${grant.fault}`, {
      hint: 'Approve it --once, or say what to allow: --allow "GET /path/**", or --whole-host.',
    });
  }
  const { bound } = parsePlan(row.plan).network;
  if (!isWithinBound(grant.rule, bound)) {
    throw new CasemateError('POLICY_WIDENS', `the organisation's policy allows less than this: ${ruleWords(grant.rule)}`, {
      hint: 'Approve only what was asked for, or let the owner of that policy allow it.',
    });
  }
  return grant;
}

export interface Denial {
  readonly id: string;
  /** `while`: the same is not asked again for ten minutes; `sandbox`: never in its life */
  readonly scope: 'while' | 'sandbox';
  readonly actor: string;
}

/** Throws `REQUEST_GONE`. */
export async function deny(context: SandboxContext, { id, scope, actor }: Denial): Promise<AskView> {
  const claim = context.asks.claim(id);
  const { view } = claim;
  try {
    await record(context, view, { actor, action: 'ask.deny', scope });
    if (scope === 'sandbox') {
      keep(context, rowOf(context, view), { kind: 'deny', key: refusalKey(view) });
    }
    claim.deny(scope);
    return view;
  } catch (error) {
    claim.release();
    throw error;
  }
}

function keep({ store }: SandboxContext, row: SandboxRow, answer: StoredAnswer): void {
  if (store.answers(row.id).length >= answersKept) {
    throw new CasemateError('USAGE', `sandbox "${row.name}" has ${answersKept} answers already, more than a person overlooks`, {
      hint: 'Write a rule for them: casemate policy propose --from-journal NAME',
    });
  }
  store.addAnswer(row.id, answer);
}

function rowOf({ store }: SandboxContext, view: AskView): SandboxRow {
  const row = store.find(view.sandbox);
  if (row === undefined) {
    throw new CasemateError('REQUEST_GONE', `the sandbox that asked for ${view.id} is gone`);
  }
  return row;
}

interface AnswerFacts {
  readonly actor: string;
  readonly action: 'ask.approve' | 'ask.deny';
  readonly scope: string;
  readonly rule?: string | undefined;
  readonly allows?: string | undefined;
  readonly file?: string | undefined;
}

/** Nothing is answered that could not be recorded. */
async function record({ journal }: SandboxContext, view: AskView, facts: AnswerFacts): Promise<void> {
  const { actor, action, scope, rule, allows, file } = facts;
  await journal.append({
    actor,
    action,
    sandbox: view.sandbox,
    subject: `${view.host}:${view.port}`,
    decision: action === 'ask.approve' ? 'allow' : 'deny',
    outcome: scope,
    policy: view.policyHash,
    ...(rule === undefined ? {} : { rule }),
    detail: {
      ask: view.id,
      ...(view.method === undefined ? {} : { method: view.method, path: (view.path ?? '').slice(0, 512) }),
      ...(allows === undefined ? {} : { allows: allows.slice(0, 512) }),
      ...(file === undefined ? {} : { file }),
    },
  });
}
