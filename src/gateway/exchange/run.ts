import { createStop, type Stop } from '../../base/stop.ts';
import type { ExchangeGuard } from '../guards/exchange-guard.ts';
import type { Exchange } from '../exchange.ts';
import type { Outgoing } from '../injection/placing.ts';
import { judge, type Plan } from './judge.ts';
import type { Site } from '../live-sandbox.ts';
import { joinNeedles, type Needles } from '../secrets/mask.ts';
import type { Effect } from '../records.ts';
import type { Refusal } from '../refusal.ts';

/** What one allowed exchange collects, from its permission to the record of its end. */
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
  readonly stop: Stop;
  /** why it was cut by the gateway, where it was */
  readonly cutBy: { why: string | undefined };
  /** forgets it among what is open */
  readonly release: () => void;
  /** `isAnswered`: the answer is on its way, and nobody waits any more for what stops the rest of the request */
  readonly sent: { bytes: number; misplaced: boolean; isAnswered: boolean; refusal?: Refusal };
  readonly received: { bytes: number };
}

export function createRun(
  exchange: Exchange,
  site: Site,
  { plan, outgoing, effect, guard }: Pick<Run, 'plan' | 'outgoing' | 'effect' | 'guard'>,
): Run {
  const stop = createStop();
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
    sent: { bytes: 0, misplaced: false, isAnswered: false },
    received: { bytes: 0 },
  };
}

export function epochOf({ credential }: Plan): number | undefined {
  return credential?.epoch?.();
}

/** Whether the rules in force would carry a request out as `before` says: under the same credential, to the same place. */
export function isStillAllowed(exchange: Exchange, site: Site, before: Plan): boolean {
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
  return joinNeedles(values.map(live.needlesOf));
}

/** The one line about the end of an exchange that was allowed. */
export function finish(run: Run, outcome: string, detail: Record<string, string | number | boolean> = {}): void {
  const { effect, site, sent, received, startedMs, cutBy } = run;
  run.release();
  const ms = Math.round(site.live.clock.monotonicMs() - startedMs);
  const used = run.guard.settle(sent.bytes);
  site.live.recorder.end(effect, cutBy.why ?? outcome, { ...detail, ...used, bytesOut: sent.bytes, bytesIn: received.bytes, ms });
}
