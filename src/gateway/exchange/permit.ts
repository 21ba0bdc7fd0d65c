import { hasFunctions } from '../../policy/judging/functions.ts';
import { raise } from '../secrets/alarm.ts';
import { bareEffect } from './answer-refusal.ts';
import { askAboutRequest, isAskable } from '../asks/ask-person.ts';
import { guardExchange } from '../guards/exchange-guard.ts';
import type { Exchange } from '../exchange.ts';
import type { Field } from '../http/fields.ts';
import { isUsualIdentity } from '../injection/identity.ts';
import { inject } from '../injection/inject.ts';
import { judgeWhole } from './judge-content.ts';
import { judge, type Judgement, type Plan } from './judge.ts';
import { learnFrom } from './learn.ts';
import type { LearnState } from './learn-state.ts';
import type { Site } from '../live-sandbox.ts';
import { answersItself } from './local-answer.ts';
import { authorityOf } from './outgoing-request.ts';
import { contentOf } from './read-content.ts';
import type { Effect } from '../records.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { isRewriting } from './rewriting.ts';
import { createRun, epochOf, finish, isStillAllowed, type Run } from './run.ts';

/** Takes a request to the permission to carry it out: judged, put before a person, guarded, given its credential, recorded. */

export type Permission = { readonly ok: true; readonly run: Run } | { readonly ok: false; readonly refusal: Refusal };

/** Like `permitNow`; what the rules deny is put before a person first, where the policy has that. */
export async function permit(
  exchange: Exchange,
  site: Site,
  formFault: () => Refusal | undefined = () => undefined,
): Promise<Permission> {
  const judgement = judge(exchange, site);
  const { learn } = site.live;
  if (learn !== undefined && isLearned(judgement, learn)) {
    const learned = formFault() === undefined ? learnFrom(exchange, site, learn) : { exchange, site };
    return 'refusal' in learned
      ? { ok: false, refusal: learned.refusal }
      : await permitNow(learned.exchange, learned.site, formFault);
  }
  if (judgement.ok || !isAskable(judgement.refusal.reason) || formFault() !== undefined) {
    return await permitNow(exchange, site, formFault, judgement);
  }
  const settled = await askAboutRequest(exchange, site, judgement.refusal);
  return 'site' in settled ? await permitNow(exchange, settled.site, formFault) : { ok: false, refusal: settled.refusal };
}

/** What is not well formed is refused as ever; what is allowed goes its way where the policy is to hold meanwhile. */
function isLearned(judgement: Judgement, { setting }: LearnState): boolean {
  return judgement.ok ? setting.known === 'as-learned' : isAskable(judgement.refusal.reason);
}

/** Everything that stands between a request and its way out, in order: the first refusal ends it, and nothing was sent yet. */
async function permitNow(
  asked: Exchange,
  site: Site,
  formFault: () => Refusal | undefined,
  judged = judge(asked, site),
): Promise<Permission> {
  const rules = site.live.book.now();
  const judgement = await judgeWhole(asked, site, { first: judged, formFault });
  if (!judgement.ok) {
    return judgement;
  }
  const { plan, exchange } = judgement;
  if (answersItself(plan, exchange, site)) {
    // `attempt` answers these; an upgrade must not come by it.
    return { ok: false, refusal: refuse('upgrade-not-allowed', `${site.host} is answered on the host`, plan.rule.id) };
  }
  const guard = guardExchange(exchange, site, plan);
  if ('reason' in guard) {
    return { ok: false, refusal: { ...guard, rule: plan.rule.id } };
  }
  const epoch = epochOf(plan);
  const injected = await inject({
    method: exchange.method,
    host: site.host,
    authority: authorityOf(site),
    fields: asJudged(ownIdentity(guard.fields, plan), plan),
    target: plan.head.target,
    credential: plan.credential,
    phantoms: site.live.phantoms(),
    content: contentOf(exchange, site.live),
    nowMs: site.live.clock.nowMs(),
  });
  if (!injected.ok) {
    guard.settle(0);
    return { ok: false, refusal: { ...injected.refusal, rule: plan.rule.id } };
  }
  const { outgoing } = injected;
  const effect = effectOf(exchange, site, { plan, outgoing });
  if (!(await site.live.recorder.open(effect))) {
    guard.settle(0);
    const message = 'the journal of the host cannot be written, so nothing may leave';
    return { ok: false, refusal: refuse('journal-unwritable', message, plan.rule.id) };
  }
  site.live.counts.allowed += 1;
  const run = createRun(exchange, site, { plan, outgoing, effect, guard });
  if (outgoing.isMasked === true) {
    run.sent.misplaced = true;
    void raise('phantom-misplaced', site, { effect, outcome: 'masked' });
  }
  if (epochOf(plan) !== epoch) {
    // The value was rotated or revoked while the line was written: the old one goes nowhere.
    finish(run, 'credential-changed');
    return await permitNow(exchange, site, formFault);
  }
  const taken = site.live.book.now() === rules ? undefined : ruleTaken(run);
  return taken === undefined ? { ok: true, run } : { ok: false, refusal: taken };
}

function asJudged(fields: readonly Field[], { rule }: Plan): readonly Field[] {
  return hasFunctions(rule) ? fields.filter(([name]) => !isRewriting(name)) : fields;
}

/** Reading packages as anybody may needs no account, and one of the caller's own would be somebody else's (SEC-15). */
function ownIdentity(fields: readonly Field[], { rule, credential }: Plan): readonly Field[] {
  return rule.registry === undefined || credential !== undefined
    ? fields
    : fields.filter(([name]) => !identityFields.has(name) && !isUsualIdentity(name));
}

const identityFields: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'npm-otp', 'npm-session']);

/** The rules were replaced while the credential was obtained and the line written. */
function ruleTaken(run: Run): Refusal | undefined {
  const { exchange, site, plan } = run;
  if (isStillAllowed(exchange, site, plan)) {
    return undefined;
  }
  finish(run, 'rule-removed');
  const message = 'the rule that allowed this has just been taken away';
  return { ...refuse('function-not-allowed', message, plan.rule.id), isRecorded: true };
}

function effectOf(exchange: Exchange, site: Site, { plan, outgoing }: Pick<Run, 'plan' | 'outgoing'>): Effect {
  return {
    ...bareEffect(exchange, site, plan.content),
    rule: plan.rule.id,
    credential: outgoing.secret === undefined ? undefined : site.live.credentialHash(outgoing.secret),
  };
}
