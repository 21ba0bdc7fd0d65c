import { answerRefusal, bareEffect } from './answer-refusal.ts';
import { chain } from '../bodies/body-steps.ts';
import { decodeContent, decoderBytes, hasCodedMessages, isKnownCoding } from './decode-content.ts';
import type { Exchange } from '../exchange.ts';
import { type Attempt, faulty } from '../fault.ts';
import { type Field, forwardedResponseFields, valuesOf } from '../http/fields.ts';
import type { Site } from '../live-sandbox.ts';
import { answerLocally, localExchange, tellRejected } from './local-answer.ts';
import { createMask, type Mask, maskFields } from '../secrets/mask.ts';
import { brokenOff, upstreamRequest } from './outgoing-request.ts';
import type { FetchMore } from '../guards/filter-metadata.ts';
import { keepingOf } from '../guards/package-keeping.ts';
import { wholeBody } from '../guards/read-metadata.ts';
import { permit } from './permit.ts';
import { plainContent, releaseDecoder } from './plain-content.ts';
import { requestBytes, turnFor } from '../bodies/pace.ts';
import { pump } from '../bodies/pump.ts';
import { releaseContent } from './read-content.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { finish, type Run } from './run.ts';
import { answerTrailers } from './trailers.ts';
import type { UpstreamAnswer } from '../upstream/upstream-request.ts';

/** So many times the requests that are carried out at once may be there at once. */
const mostWaiting = 4;

/** One HTTP exchange from request to record: judged, recorded, carried out, answered. Never rejects. */
export async function relay(exchange: Exchange, site: Site): Promise<void> {
  const { live } = site;
  site.onExchange();
  live.counts.openExchanges += 1;
  const { openExchanges } = live.counts;
  const isBusy = openExchanges > live.limits.exchanges;
  try {
    if (openExchanges > mostWaiting * live.limits.exchanges) {
      // Not even told: each that waits for its turn holds its head, a hundred on every connection of HTTP/2.
      void live.recorder.deny({ subject: `${site.host}:${site.port}`, detail: {} }, { reason: 'too-busy' });
      exchange.cut();
      return;
    }
    const turn = turnFor(live.pace, requestBytes);
    if (turn !== undefined) {
      await turn;
      if (exchange.signal.aborted) {
        // Its caller left, or the sandbox ended, before it was looked at.
        exchange.cut();
        return;
      }
    }
    const refusal = isBusy ? refuse('too-busy', 'too many requests at the same time') : await attempt(exchange, site);
    if (refusal !== undefined) {
      await answerRefusal(exchange, site, refusal);
    }
  } catch {
    // Whatever broke, this exchange alone ends by it.
    exchange.cut();
  } finally {
    live.counts.openExchanges -= 1;
    releaseContent(exchange, live.counts);
    releaseDecoder(exchange, live.counts);
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

async function carryOut(run: Run): Promise<Refusal | undefined> {
  const { exchange, site, plan } = run;
  if (run.stop.signal.aborted) {
    finish(run, 'caller-gone');
    return undefined;
  }
  if (exchange.expectsContinue && run.outgoing.content === undefined) {
    exchange.sendContinue();
  }
  const upstream = site.live.upstreams.get({ destination: plan.destination, secure: plan.secure });
  const answer = readable(await upstream.request(upstreamRequest(run)), run);
  const broken = brokenOff(run);
  if (broken !== undefined) {
    discard(answer);
    return broken;
  }
  if (!answer.ok) {
    finish(run, exchange.signal.aborted ? 'caller-gone' : answer.fault.reason);
    return { ...refuse(answer.fault.reason, answer.fault.message, plan.rule.id), isRecorded: true };
  }
  tellRejected(plan, answer.value.status, run.outgoing);
  const guarded = await run.guard.answered(answer.value, fetchMore(run));
  if ('reason' in guarded) {
    answer.value.body.destroy();
    finish(run, guarded.reason);
    return { ...guarded, rule: plan.rule.id };
  }
  // The rest of the request went on while the answer was looked at.
  const late = brokenOff(run);
  if (late !== undefined) {
    guarded.body.destroy();
    return late;
  }
  await passOn(run, guarded);
  return undefined;
}

/** Another document of the same host, asked for as the request itself was: an effect of its own, and on record as one. */
function fetchMore(run: Run): FetchMore {
  const { exchange, plan, site, outgoing, effect: first } = run;
  return async (target, accept) => {
    const bare = bareEffect({ ...exchange, method: 'GET', target }, site);
    const effect = { ...first, detail: { ...bare.detail, besides: first.detail['exchange'] ?? 0 } };
    if (!(await site.live.recorder.open(effect))) {
      return undefined;
    }
    const own = outgoing.fields.filter(([name]) => !['accept', 'accept-encoding', 'range', 'content-length'].includes(name));
    const fields: Field[] = [...own, ['accept', accept], ['accept-encoding', 'identity']];
    const asked = { ...upstreamRequest(run), method: 'GET', target, fields, body: undefined };
    const upstream = site.live.upstreams.get({ destination: plan.destination, secure: plan.secure });
    const answer = await upstream.request(asked);
    const document = answer.ok ? await wholeBody(answer.value, keepingOf(site.live)) : undefined;
    const outcome = answer.ok ? (document === undefined ? 'unread' : 'ok') : answer.fault.reason;
    const status = answer.ok ? { status: answer.value.status } : {};
    site.live.recorder.end(effect, outcome, { ...status, bytesOut: 0, bytesIn: document?.length ?? 0 });
    return document;
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
  run.sent.isAnswered = true;
  notePath(run, answer.status);
  const mask = needles.sought.length === 0 ? undefined : createMask(needles);
  const answered = answeredFields(answer.fields, run);
  const fields = maskFields(answer.own === undefined ? answered : [...answered, ...answer.own], needles);
  try {
    const target = exchange.respond(answer.status, fields);
    await pump(answer.body, target, {
      step: chain([mask, run.guard.inward(answer)]),
      isWhole: answer.isWhole,
      onBytes: (count) => countReceived(run, count),
      pace: run.site.live.pace,
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

/** A session that is opened for the real account is a credential, too, and stays outside. */
export function answeredFields(fields: readonly Field[], { outgoing }: Run): readonly Field[] {
  return forwardedResponseFields(fields, outgoing.secret === undefined ? undefined : ofTheAccount);
}

const ofTheAccount: ReadonlySet<string> = new Set(['set-cookie', 'set-cookie2']);

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
  const { fields, body } = attempted.value;
  const coding = valuesOf(fields, 'content-encoding').join(',').trim().toLowerCase();
  const isSearched = run.needles.sought.length > 0;
  if (isSearched && hasCodedMessages(fields)) {
    return unsearchable(run, body);
  }
  if (coding === '' || coding === 'identity' || isBare(attempted.value.status, run.exchange.method)) {
    return attempted;
  }
  if (!isKnownCoding(coding)) {
    return unsearchable(run, body);
  }
  const kept = fields.filter(([name]) => name !== 'content-encoding' && name !== 'content-length');
  const { counts, limits } = run.site.live;
  if (counts.decodingBytes + decoderBytes[coding] > limits.decodingBytes) {
    body.destroy();
    return faulty('bad-answer', `${run.site.host} compressed its answer, and too much is decoded at the same time`);
  }
  counts.decodingBytes += decoderBytes[coding];
  const decoder = decodeContent(body, coding);
  decoder.once('close', () => void (counts.decodingBytes -= decoderBytes[coding]));
  return { ok: true, value: { ...attempted.value, fields: kept, body: decoder } };
}

function isBare(status: number, method: string): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

function unsearchable({ site }: Run, body: UpstreamAnswer['body']): Attempt<never> {
  body.destroy();
  return faulty('bad-answer', `${site.host} answered in a coding that cannot be searched for the credential`);
}
