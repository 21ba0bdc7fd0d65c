import { Readable } from 'node:stream';

import { answerRefusal, bareEffect } from './answer-refusal.ts';
import { askAboutRequest, isAskable } from './ask-person.ts';
import { raise } from './alarm.ts';
import { chain, type BodyStep } from './body-steps.ts';
import { decodeContent, isKnownCoding } from './decode-content.ts';
import type { Exchange } from './exchange.ts';
import { guardExchange, type ExchangeGuard, type GuardStop } from './exchange-guard.ts';
import { faulty, type Attempt } from './fault.ts';
import { forwardedResponseFields, tokensOf, valuesOf, type Field } from './fields.ts';
import { inject, type Outgoing } from './inject.ts';
import { judge, type Plan, type Judgement } from './judge.ts';
import { learnFrom, type LearnState } from './learn.ts';
import { judgeWhole } from './judge-content.ts';
import type { Site } from './live-sandbox.ts';
import { answerLocally, answersItself, localExchange, tellRejected } from './local-answer.ts';
import { createMask, maskText, noNeedles, prepareNeedles, type Mask, type Needles } from './mask.ts';
import { plainContent } from './plain-content.ts';
import { wholeBody, type FetchMore } from './package-guard.ts';
import { pump } from './pump.ts';
import { contentOf, releaseContent } from './read-content.ts';
import type { Effect } from './records.ts';
import { refuse, type Refusal } from './refusal.ts';
import { answerTrailers, requestTrailers } from './trailers.ts';
import type { UpstreamAnswer, UpstreamRequest } from './upstream.ts';

/** One HTTP exchange from request to record: judged, recorded, carried out, answered. Never rejects. */
export async function relay(exchange: Exchange, site: Site): Promise<void> {
  const { live } = site;
  site.onExchange();
  live.counts.openExchanges += 1;
  try {
    const refusal =
      live.counts.openExchanges > live.limits.exchanges
        ? refuse('too-busy', 'too many requests at the same time')
        : await attempt(exchange, site);
    if (refusal !== undefined) {
      await answerRefusal(exchange, site, refusal);
    }
  } catch {
    // Whatever broke, this exchange alone ends by it.
    exchange.cut();
  } finally {
    live.counts.openExchanges -= 1;
    releaseContent(exchange, live.counts);
  }
}

/** How often a request is begun again because its credential was changed in between. */
const retries = 3;

async function attempt(exchange: Exchange, site: Site, triesLeft = retries): Promise<Refusal | undefined> {
  const { exchange: plain, refusal } = plainContent(exchange, site.live);
  const local = refusal === undefined ? localExchange(plain, site) : undefined;
  if (local !== undefined) {
    return await answerLocally(plain, site, local);
  }
  const permitted = await permit(plain, site, () => refusal);
  const ended = permitted.ok ? await carryOutRecorded(permitted.run) : permitted.refusal;
  // Nothing of it was sent yet, so it is asked for once more with the value of now.
  return ended?.reason === 'credential-changed' && triesLeft > 0 && !exchange.expectsContinue
    ? await attempt(exchange, site, triesLeft - 1)
    : ended;
}

/** Permission is on record, so the end has to be, whatever breaks. */
async function carryOutRecorded(run: Run): Promise<Refusal | undefined> {
  try {
    return await carryOut(run);
  } catch (thrown) {
    finish(run, 'gateway-fault');
    throw thrown;
  }
}

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
    return await permitNow(exchange, site, formFault);
  }
  const settled = await askAboutRequest(exchange, site, judgement.refusal);
  return 'site' in settled ? await permitNow(exchange, settled.site, formFault) : { ok: false, refusal: settled.refusal };
}

/** What is not well formed is refused as ever; what is allowed goes its way where the policy is to hold meanwhile. */
function isLearned(judgement: Judgement, { setting }: LearnState): boolean {
  return judgement.ok ? setting.known === 'as-learned' : isAskable(judgement.refusal.reason);
}

/** Everything that stands between a request and its way out, in order: the first refusal ends it, and nothing was sent yet. */
async function permitNow(asked: Exchange, site: Site, formFault: () => Refusal | undefined): Promise<Permission> {
  const rules = site.live.book.now();
  const judgement = await judgeWhole(asked, site, formFault);
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
    fields: guard.fields,
    target: plan.head.target,
    credential: plan.credential,
    phantoms: site.live.phantoms(),
    phantomNeedles: site.live.phantomNeedles(),
    content: contentOf(exchange, site.live.counts),
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

function epochOf({ credential }: Plan): number | undefined {
  return credential?.epoch?.();
}

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

/** What one exchange that was allowed gathers on its way. */
export interface Run {
  readonly exchange: Exchange;
  readonly site: Site;
  readonly plan: Plan;
  readonly outgoing: Outgoing;
  /** of the credential, when its value was put in */
  readonly epoch: number | undefined;
  readonly effect: Effect;
  readonly guard: ExchangeGuard;
  readonly startedMs: number;
  readonly needles: Needles;
  /** aborts when the caller goes, the sandbox goes, or the request must not go on */
  readonly stop: AbortController;
  /** why it was cut by the gateway, where it was */
  readonly cutBy: { why: string | undefined };
  /** forgets it among what is open */
  readonly release: () => void;
  readonly sent: { bytes: number; misplaced: boolean; refusal?: Refusal };
  readonly received: { bytes: number };
}

function createRun(
  exchange: Exchange,
  site: Site,
  { plan, outgoing, effect, guard }: Pick<Run, 'plan' | 'outgoing' | 'effect' | 'guard'>,
): Run {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  const cutBy: Run['cutBy'] = { why: undefined };
  const release = site.live.book.hold({
    credential: plan.credential?.name,
    isAllowed: () => isStillAllowed(exchange, site, plan),
    cut(why) {
      cutBy.why = why;
      abort();
      exchange.cut();
    },
  });
  stop.signal.addEventListener('abort', release, { once: true });
  exchange.signal.addEventListener('abort', abort, { once: true });
  if (exchange.signal.aborted) {
    abort();
  }
  return {
    exchange,
    site,
    plan,
    epoch: epochOf(plan),
    outgoing,
    effect,
    guard,
    startedMs: site.live.clock.monotonicMs(),
    needles: needlesOf(outgoing, site),
    stop,
    cutBy,
    release,
    sent: { bytes: 0, misplaced: false },
    received: { bytes: 0 },
  };
}

/** Whether the rules in force would carry a request out as `before` says: under the same credential, to the same place. */
function isStillAllowed(exchange: Exchange, site: Site, before: Plan): boolean {
  const now = judge(exchange, site, before.content === undefined ? undefined : { content: before.content });
  return (
    now.ok &&
    now.plan.inspect === undefined &&
    now.plan.credential?.name === before.credential?.name &&
    now.plan.rule.upstream === before.rule.upstream &&
    now.plan.secure === before.secure
  );
}

function needlesOf({ secret, scrub }: Outgoing, { live }: Site): Needles {
  const values = scrub ?? (secret === undefined ? [] : [secret]);
  const [first, ...more] = values.map(live.needlesOf);
  return first === undefined
    ? noNeedles
    : more.length === 0
      ? first
      : prepareNeedles([first, ...more].flatMap(({ sought }) => sought));
}

async function carryOut(run: Run): Promise<Refusal | undefined> {
  const { exchange, site, plan } = run;
  if (exchange.expectsContinue && run.outgoing.content === undefined) {
    exchange.sendContinue();
  }
  const upstream = site.live.upstreams.get({ destination: plan.destination, secure: plan.secure });
  const answer = readable(await upstream.request(upstreamRequest(run)), run);
  if (run.sent.misplaced && plan.credential === undefined) {
    discard(answer);
    finish(run, 'phantom-misplaced');
    // Recorded once more, as the alarm that it is.
    return refuse('phantom-misplaced', 'a key of this sandbox stands in the content of the request', plan.rule.id);
  }
  const stopped = stoppedBy(run);
  if (stopped !== undefined) {
    discard(answer);
    return stopped;
  }
  if (!answer.ok) {
    finish(run, exchange.signal.aborted ? 'caller-gone' : answer.fault.reason);
    return { ...refuse(answer.fault.reason, answer.fault.message, plan.rule.id), isRecorded: true };
  }
  tellRejected(plan, answer.value.status, run.outgoing.secret);
  const guarded = await run.guard.answered(answer.value, fetchMore(run));
  if ('reason' in guarded) {
    answer.value.body.destroy();
    finish(run, guarded.reason);
    return { ...guarded, rule: plan.rule.id };
  }
  await passOn(run, guarded);
  return undefined;
}

/** Another document of the same host, asked for as the request itself was. */
function fetchMore(run: Run): FetchMore {
  const { plan, site, outgoing } = run;
  return async (target, accept) => {
    const own = outgoing.fields.filter(([name]) => !['accept', 'accept-encoding', 'range', 'content-length'].includes(name));
    const fields: Field[] = [...own, ['accept', accept], ['accept-encoding', 'identity']];
    const asked = { ...upstreamRequest(run), method: 'GET', target, fields, body: undefined };
    const upstream = site.live.upstreams.get({ destination: plan.destination, secure: plan.secure });
    const answer = await upstream.request(asked);
    return answer.ok ? await wholeBody(answer.value) : undefined;
  };
}

/** The request was broken off by a guard: recorded as its end, and once more as the refusal that it is. */
export function stoppedBy(run: Run): Refusal | undefined {
  const { refusal } = run.sent;
  if (refusal !== undefined) {
    finish(run, refusal.reason);
  }
  return refusal;
}

function guardStop(run: Run): GuardStop {
  const { site, effect, sent, stop, plan } = run;
  return {
    refuse(refusal) {
      sent.refusal ??= { ...refusal, rule: plan.rule.id };
      stop.abort();
    },
    masked(label) {
      const named = { ...effect, detail: { ...effect.detail, secret: label } };
      void raise('secret-outgoing', site, { effect: named, outcome: 'masked' });
    },
  };
}

function discard(answer: Attempt<UpstreamAnswer>): void {
  if (answer.ok) {
    answer.value.body.destroy();
  }
}

/** Answers with the body as it comes. The exchange is over, and on record, when the last byte is handed on. */
export async function passOn(run: Run, answer: UpstreamAnswer): Promise<void> {
  const { exchange, needles } = run;
  notePath(run, answer.status);
  const mask = needles.sought.length === 0 ? undefined : createMask(needles);
  const fields = forwardedResponseFields(answer.fields).map(([name, value]): Field => [name, maskText(value, needles)]);
  try {
    const target = exchange.respond(answer.status, fields);
    await pump(answer.body, target, {
      step: chain([mask, run.guard.inward(answer)]),
      isWhole: answer.isWhole,
      onBytes: (count) => countReceived(run, count),
      beforeEnd: () => exchange.sendTrailers(answerTrailers(answer.trailers(), needles)),
    });
    finish(run, 'ok', { status: answer.status, ...scrubbed(mask) });
  } catch {
    const outcome = exchange.signal.aborted ? 'caller-gone' : 'answer-cut';
    answer.body.destroy();
    exchange.cut();
    finish(run, outcome, { status: answer.status, ...scrubbed(mask) });
  }
}

/** What a registry has is known from now on; what it does not have was perhaps no question but a message (SEC-15). */
function notePath({ plan, site: { live, host, port } }: Run, status: number): void {
  if (plan.rule.registry !== undefined) {
    live.unknownPaths.learn(`${host}:${port}`, plan.head.path, status >= 400 && status < 500 ? 'paid' : 'free');
  }
}

function scrubbed(mask: Mask | undefined): Record<string, number> {
  const hits = mask?.hits() ?? 0;
  return hits === 0 ? {} : { scrubbed: hits };
}

function countReceived(run: Run, count: number): void {
  run.received.bytes += count;
  run.site.live.counts.bytesIn += count;
}

/** The same answer with its content in the clear, where it has to be searched for the secret. */
export function readable(attempted: Attempt<UpstreamAnswer>, run: Run): Attempt<UpstreamAnswer> {
  if (!attempted.ok || (run.needles.sought.length === 0 && !run.guard.reads)) {
    return attempted;
  }
  const { status, fields, body } = attempted.value;
  const coding = valuesOf(fields, 'content-encoding').join(',').trim().toLowerCase();
  if (coding === '' || coding === 'identity' || run.exchange.method === 'HEAD' || status === 204 || status === 304) {
    return attempted;
  }
  if (!isKnownCoding(coding)) {
    body.destroy();
    return faulty('bad-answer', `${run.site.host} answered in a coding that cannot be searched for the credential`);
  }
  const kept = fields.filter(([name]) => name !== 'content-encoding' && name !== 'content-length');
  return { ok: true, value: { ...attempted.value, fields: kept, body: decodeContent(body, coding) } };
}

export function upstreamRequest(run: Run): UpstreamRequest {
  const { exchange, outgoing, site, stop, plan } = run;
  return {
    method: exchange.method,
    target: outgoing.target,
    authority: authorityOf(site),
    fields: outgoing.fields,
    body: bodyOf(run),
    takesTrailers: tokensOf(exchange.fields, 'te').includes('trailers'),
    signal: stop.signal,
    prefersHttp2: exchange.version === '2',
    isCurrent: () => epochOf(plan) === run.epoch,
  };
}

function authorityOf({ host, port, scheme }: Site): string {
  return port === (scheme === 'https' ? 443 : 80) ? host : `${host}:${port}`;
}

/** As it comes, or as it was read for the credential's sake. */
function bodyOf(run: Run): UpstreamRequest['body'] {
  const { exchange, outgoing } = run;
  const { content } = outgoing;
  const stream = content === undefined ? exchange.body : Readable.from([content], { objectMode: false });
  const options = {
    step: chain([searchOutward(run), outgoing.step]),
    isWhole: content === undefined ? exchange.isWhole : () => true,
    onBytes: countSent(run),
  };
  return stream === undefined ? undefined : { stream, options, trailers: () => trailersOf(run) };
}

function trailersOf(run: Run): readonly Field[] {
  const { exchange, plan, site } = run;
  const trailers = requestTrailers(exchange.trailers(), { credential: plan.credential, phantoms: site.live.phantoms() });
  if (trailers === undefined) {
    const message = 'behind the content stands a field that does not belong there';
    guardStop(run).refuse(refuse('foreign-key', message));
    throw new Error(message);
  }
  return trailers;
}

function countSent(run: Run): (count: number) => void {
  const stop = guardStop(run);
  return (count) => {
    run.sent.bytes += count;
    run.site.live.counts.bytesOut += count;
    run.guard.sent(run.sent.bytes, stop);
  };
}

/** All that content is searched for on its way out; new steps at each call. */
export function searchOutward(run: Run): BodyStep | undefined {
  return chain([searchFor(run), ...run.guard.outward(guardStop(run))]);
}

/**
 * Finds phantoms in the content of a request. At the host that owns the key they are made unreadable and noted (a
 * transcript may well hold one); at any other host the request is broken off before the phantom is through.
 */
function searchFor(run: Run): Mask | undefined {
  const { site, effect, plan, sent, stop } = run;
  if (site.live.phantoms().length === 0) {
    return undefined;
  }
  const mask = createMask(site.live.phantomNeedles());
  const look = (bytes: Buffer): Buffer => {
    if (mask.hits() > 0 && !sent.misplaced) {
      sent.misplaced = true;
      if (plan.credential === undefined) {
        stop.abort();
      } else {
        void raise('phantom-misplaced', site, { effect, outcome: 'masked' });
      }
    }
    return bytes;
  };
  return { ...mask, push: (piece) => look(mask.push(piece)) };
}

function effectOf(exchange: Exchange, site: Site, { plan, outgoing }: Pick<Run, 'plan' | 'outgoing'>): Effect {
  return {
    ...bareEffect(exchange, site, plan.content),
    rule: plan.rule.id,
    credential: outgoing.secret === undefined ? undefined : site.live.credentialHash(outgoing.secret),
  };
}

/** The one line about the end of an exchange that was allowed. */
export function finish(run: Run, outcome: string, detail: Record<string, string | number | boolean> = {}): void {
  const { effect, site, sent, received, startedMs, cutBy } = run;
  run.release();
  const ms = Math.round(site.live.clock.monotonicMs() - startedMs);
  const used = run.guard.settle(sent.bytes);
  site.live.recorder.end(effect, cutBy.why ?? outcome, { ...detail, ...used, bytesOut: sent.bytes, bytesIn: received.bytes, ms });
}
