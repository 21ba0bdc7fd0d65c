import { Readable } from 'node:stream';

import { alarmOf, raise } from '../secrets/alarm.ts';
import { recordRefusal } from './answer-refusal.ts';
import { type BodyStep, chain } from '../bodies/body-steps.ts';
import type { GuardStop } from '../guards/exchange-guard.ts';
import { secretInFields } from '../guards/secret-in-head.ts';
import { type Field, tokensOf } from '../http/fields.ts';
import type { Site } from '../live-sandbox.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import { createSecretSearch } from '../secrets/secret-search.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { methodInForm } from './method-in-form.ts';
import { epochOf, finish, type Run } from './run.ts';
import { requestTrailers } from './trailers.ts';
import type { UpstreamRequest } from '../upstream/upstream-request.ts';

/** A request as it goes to the upstream. Its content is searched and counted on the way. */

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

export function authorityOf({ host, port, scheme }: Site): string {
  return port === (scheme === 'https' ? 443 : 80) ? host : `${host}:${port}`;
}

/** As it comes, or as it was read for the credential's sake. */
function bodyOf(run: Run): UpstreamRequest['body'] {
  const { exchange, outgoing } = run;
  const { content } = outgoing;
  const stream = content === undefined ? exchange.body : Readable.from([content], { objectMode: false });
  if (stream === undefined) {
    return undefined;
  }
  const options = {
    step: chain([methodInForm(run, guardStop(run).refuse), searchOutward(run), outgoing.step]),
    isWhole: content === undefined ? exchange.isWhole : () => true,
    onBytes: countSent(run),
    pace: run.site.live.pace,
  };
  return { stream, options, trailers: () => trailersOf(run) };
}

function trailersOf(run: Run): readonly Field[] {
  const { exchange, plan, site } = run;
  const trailers = requestTrailers(exchange.trailers(), { credential: plan.credential, phantoms: site.live.phantoms() });
  const refusal =
    trailers === undefined
      ? refuse('foreign-key', 'behind the content stands a field that does not belong there')
      : secretInFields(trailers, site.live);
  if (trailers === undefined || refusal !== undefined) {
    guardStop(run).refuse(refusal ?? refuse('foreign-key', ''));
    throw new Error('a field behind the content does not go on');
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
function searchFor(run: Run): BodyStep | undefined {
  const { site, effect, plan, sent } = run;
  const needles = phantomSearch(site.live.phantoms());
  const onFound = (): void => {
    if (sent.misplaced) {
      return;
    }
    sent.misplaced = true;
    if (plan.credential === undefined) {
      breakOff(run, misplacedIn(run));
    } else {
      void raise('phantom-misplaced', site, { effect, outcome: 'masked' });
    }
  };
  return needles.size === 0 ? undefined : createSecretSearch({ needles, mode: 'mask', onFound });
}

export function guardStop(run: Run): GuardStop {
  const { site, effect, sent, plan } = run;
  return {
    refuse(refusal) {
      if (sent.refusal === undefined) {
        sent.refusal = { ...refusal, rule: plan.rule.id };
        breakOff(run, sent.refusal);
      }
    },
    masked(label) {
      const named = { ...effect, detail: { ...effect.detail, secret: label } };
      void raise('secret-outgoing', site, { effect: named, outcome: 'masked' });
    },
  };
}

/**
 * The rest of the request does not go on. A server may answer before it has it all: then it is this that ends the exchange, and
 * an alarm is on record at once, for the answer to the caller is no refusal any more.
 */
function breakOff({ exchange, site, effect, sent, stop, cutBy }: Run, refusal: Refusal): void {
  stop.abort();
  if (sent.isAnswered) {
    cutBy.why ??= refusal.reason;
    exchange.cut();
    if (alarmOf(refusal.reason) !== undefined) {
      site.live.counts.denied += 1;
      void recordRefusal(effect, site, refusal);
    }
  }
}

function misplacedIn({ plan }: Run): Refusal {
  return refuse('phantom-misplaced', 'a key of this sandbox stands in the content of the request', plan.rule.id);
}

/** The same before there is an answer: recorded as the end of the exchange, and once more as the alarm that it is. */
export function brokenOff(run: Run): Refusal | undefined {
  if (run.sent.misplaced && run.plan.credential === undefined) {
    finish(run, 'phantom-misplaced');
    return misplacedIn(run);
  }
  return stoppedBy(run);
}

/** The request was broken off by a guard: recorded as its end, and once more as the refusal that it is. */
export function stoppedBy(run: Run): Refusal | undefined {
  const { refusal } = run.sent;
  if (refusal !== undefined) {
    finish(run, refusal.reason);
  }
  return refusal;
}
