import { budgetRefusal } from './budget-refusal.ts';
import type { Held } from './budgets.ts';
import { type BodyStep, chain } from '../bodies/body-steps.ts';
import type { Exchange } from '../exchange.ts';
import { objectReader } from './event-readers.ts';
import type { Field } from '../http/fields.ts';
import { createJsonPicker } from '../http/json-picker.ts';
import type { Plan } from '../exchange/judge.ts';
import type { Site } from '../live-sandbox.ts';
import { greatestOutput, isDeferred, isStreamed, modelApiOf, modelInPath, requestMembers, type ModelApi } from './model-api.ts';
import type { FetchMore } from './filter-metadata.ts';
import { packageGuard, type PackageGuard } from './package-guard.ts';
import { priceOf, spendOf } from './prices.ts';
import type { Detail } from '../records.ts';
import { refuse, type Refusal } from '../refusal.ts';
import { secretInHead, secretRefusal } from './secret-in-head.ts';
import { createSecretSearch } from '../secrets/secret-search.ts';
import type { UpstreamAnswer } from '../upstream/upstream-request.ts';
import type { Amounts } from './ledger.ts';
import { addUsage, readUsage } from './usage.ts';
import { createUsageMeter, type MeteredUsage, type UsageMeter } from './usage-meter.ts';

/** The guards around one exchange besides its rules: budgets, the search for known secrets, the count of tokens. */
export interface ExchangeGuard {
  /** the request's fields as they go on */
  readonly fields: readonly Field[];
  /** Steps over the content of the request, new ones at each call; the guard may then stop the request. */
  readonly outward: (stop: GuardStop) => readonly (BodyStep | undefined)[];
  /** So much has gone out in all. */
  readonly sent: (bytes: number, stop: GuardStop) => void;
  /** whether the answer has to be in the clear */
  readonly reads: boolean;
  /** The answer as it may be handed on. */
  readonly answered: (answer: UpstreamAnswer, fetch: FetchMore) => Promise<UpstreamAnswer | Refusal>;
  /** Looks at the answer as it comes back; told before its first byte. */
  readonly inward: (answer: Pick<UpstreamAnswer, 'status' | 'fields'>) => BodyStep | undefined;
  /** Looks at the messages of a WebSocket that come back. */
  readonly messages: (stop: GuardStop) => BodyStep | undefined;
  /** The exchange is over; what goes on record about it. Once. */
  readonly settle: (sentBytes: number) => Detail;
}

export interface GuardStop {
  /** The request must not go on, for this reason. */
  readonly refuse: (refusal: Refusal) => void;
  /** A known secret was made unreadable in it. */
  readonly masked: (label: string) => void;
}

/** Without a number of its own a request is taken to ask for this much. */
const usualOutputTokens = 32_000;
const bytesPerToken = 4;
/** Of streamed events, most of which is their form. */
const streamedBytesPerToken = 8;
/** Few models write faster. */
const tokensPerSecond = 300;
/** Pictures are many bytes and few tokens: no prompt is taken for longer than this. */
const greatestInputTokens = 200_000;

/** Takes from the budgets what the request needs. A refusal: nothing was taken, and nothing may leave. */
export function guardExchange(exchange: Exchange, site: Site, plan: Plan): ExchangeGuard | Refusal {
  const { guarding } = site.live.sandbox;
  if (guarding === undefined) {
    return { ...noGuard, fields: exchange.fields };
  }
  const api = modelApiOf(exchange.method, plan.head.path);
  const bytes = plan.head.contentLength ?? 0;
  const refusal = secretInHead(exchange, site.live) ?? uploadFault(bytes, site) ?? deferredFault(exchange.method, site, plan);
  if (refusal !== undefined) {
    return refusal;
  }
  const packages = packageGuard(exchange, site, plan);
  if (packages !== undefined && 'reason' in packages) {
    return packages;
  }
  const held = site.live.budgets.take({ credential: plan.credential?.name, bytes, usesModel: api !== undefined });
  return 'budget' in held ? budgetRefusal(held, api) : createGuard(exchange, { site, plan, api, held, packages });
}

function deferredFault(method: string, { live }: Site, { head, credential }: Plan): Refusal | undefined {
  return isDeferred(method, head.path) && live.budgets.countUse(credential?.name) ? uncounted() : undefined;
}

function uncounted(): Refusal {
  return refuse(
    'function-not-allowed',
    'what this would use is in no answer, so it cannot be counted; there is a budget of tokens or dollars here',
  );
}

const noGuard: Omit<ExchangeGuard, 'fields'> = {
  answered: async (answer) => answer,
  outward: () => [],
  sent: () => undefined,
  reads: false,
  inward: () => undefined,
  messages: () => undefined,
  settle: () => ({}),
};

interface Guarded {
  readonly site: Site;
  readonly plan: Plan;
  readonly api: ModelApi | undefined;
  readonly held: Held;
  readonly packages: PackageGuard | undefined;
}

function createGuard(exchange: Exchange, guarded: Guarded): ExchangeGuard {
  const { site, plan, api, held, packages } = guarded;
  let packageDetail: Detail = {};
  const told: Told = { usage: undefined, sent: 0, received: 0 };
  let meter: UsageMeter | undefined;
  let status = 0;
  const guesses: Reserving['guesses'] = { usage: undefined, unstreamed: 0 };
  const startedMs = site.live.clock.monotonicMs();
  /** What is on no answer, because the caller left before it began: as much as a model writes in that time. */
  const unanswered = (): MeteredUsage | undefined => {
    const seconds = (site.live.clock.monotonicMs() - startedMs) / 1000;
    const output = Math.min(guesses.unstreamed, Math.ceil(seconds * tokensPerSecond));
    return guesses.usage === undefined || !exchange.signal.aborted ? undefined : { ...guesses.usage, output, isEstimated: true };
  };
  return {
    outward: (stop) => [
      secretStep(site, stop),
      api === undefined ? undefined : exchange.body === undefined ? tally(told, 'sent') : reservation(guarded, { stop, guesses }),
    ],
    sent(bytes, stop) {
      const fault = uploadFault(bytes, site) ?? budgetFault(held.sent(bytes), api);
      if (fault !== undefined) {
        stop.refuse(fault);
      }
    },
    fields: packages?.fields ?? exchange.fields,
    reads: api !== undefined || packages?.reads === true,
    async answered(answer, fetch) {
      const found = await packages?.answered(answer, fetch);
      if (found === undefined || 'reason' in found) {
        return found ?? answer;
      }
      packageDetail = found.detail;
      return found.answer;
    },
    inward(answer) {
      status = answer.status;
      meter = api === undefined || status >= 400 ? undefined : createUsageMeter(answer);
      return meter === undefined ? undefined : tap(meter);
    },
    messages(stop) {
      const reader = objectReader((value) => counted(value, { guarded, stop, told }));
      return api === undefined ? undefined : chain([tally(told, 'received'), tap(reader)]);
    },
    settle(sentBytes) {
      const answered = status >= 200 && status < 300 ? unseen(guesses.usage, meter) : undefined;
      const usage =
        withRest(told) ?? withInput(meter?.usage(), guesses.usage) ?? answered ?? (status === 0 ? unanswered() : undefined);
      const detail = usage === undefined ? {} : usageDetail(usage, guarded);
      const spendMicros = typeof detail['spendMicros'] === 'number' ? detail['spendMicros'] : 0;
      held.settle({ requests: 1, bytesOut: sentBytes, ...amountsOf(usage, spendMicros) });
      return { ...packageDetail, ...detail, ...(plan.credential === undefined ? {} : { account: plan.credential.name }) };
    },
  };
}

/** An answer that keeps its count to itself, or is left before it, is counted as what was reserved for what went in, and by its length. */
function unseen(guess: Omit<MeteredUsage, 'isEstimated'> | undefined, meter: UsageMeter | undefined): MeteredUsage | undefined {
  const bytes = meter?.bytes() ?? 0;
  return guess === undefined ? undefined : { ...guess, output: Math.ceil(bytes / bytesPerToken), isEstimated: true };
}

/** A stream may be asked to keep the count of what went in to itself. */
function withInput(
  usage: MeteredUsage | undefined,
  guess: Omit<MeteredUsage, 'isEstimated'> | undefined,
): MeteredUsage | undefined {
  const isTold = usage === undefined || usage.input + usage.cacheRead + usage.cacheWrite > 0;
  return isTold || !usage.isEstimated ? usage : { ...usage, model: usage.model ?? guess?.model, input: guess?.input ?? 0 };
}

/** What the messages of a WebSocket have told so far, and the bytes of those since. */
interface Told {
  usage: MeteredUsage | undefined;
  sent: number;
  received: number;
}

/** The last answer may have been left before it told its count. */
function withRest({ usage, sent, received }: Told): MeteredUsage | undefined {
  const input = Math.min(greatestInputTokens, Math.floor(sent / bytesPerToken));
  const output = Math.floor(received / streamedBytesPerToken);
  return input + output === 0 ? usage : { ...addUsage(usage, { input, output }), isEstimated: true };
}

function tally(told: Told, way: 'sent' | 'received'): BodyStep {
  return {
    push(piece) {
      told[way] += piece.length;
      return piece;
    },
    finish: () => Buffer.alloc(0),
  };
}

interface Counting {
  readonly guarded: Guarded;
  readonly stop: GuardStop;
  readonly told: Told;
}

/** One message may be the end of one of many answers: each is taken from the budgets at once. */
function counted(value: unknown, { guarded, stop, told }: Counting): void {
  const found = readUsage(value);
  if (found?.output === undefined) {
    return;
  }
  told.sent = 0;
  told.received = 0;
  const one = { ...addUsage(undefined, found), isEstimated: false };
  told.usage = { ...addUsage(told.usage, found), isEstimated: false };
  const { price } = priceOf(told.usage.model, guarded.site.live.sandbox.guarding?.rules.prices ?? []);
  const overrun = guarded.held.spend(amountsOf(one, spendOf(one, price)));
  if (overrun !== undefined) {
    stop.refuse(budgetRefusal(overrun, guarded.api));
  }
}

function tap(meter: Pick<UsageMeter, 'push'>): BodyStep {
  return {
    push(piece) {
      meter.push(piece);
      return piece;
    },
    finish: () => Buffer.alloc(0),
  };
}

function amountsOf(usage: MeteredUsage | undefined, spendMicros: number): Partial<Amounts> {
  if (usage === undefined) {
    return {};
  }
  const inputTokens = usage.input + usage.cacheRead + usage.cacheWrite;
  return { inputTokens, outputTokens: usage.output, tokens: inputTokens + usage.output, spendMicros };
}

function usageDetail(usage: MeteredUsage, { site, plan }: Guarded): Detail {
  const model = usage.model ?? modelInPath(plan.head.path);
  const { price, isGuess } = priceOf(model, site.live.sandbox.guarding?.rules.prices ?? []);
  return {
    model: (model ?? 'unknown').slice(0, 128),
    inputTokens: usage.input,
    outputTokens: usage.output,
    cacheReadTokens: usage.cacheRead,
    cacheWriteTokens: usage.cacheWrite,
    spendMicros: spendOf(usage, price),
    ...(isGuess ? { priceUnknown: true } : {}),
    ...(usage.isEstimated ? { tokensEstimated: true } : {}),
  };
}

interface Reserving {
  readonly stop: GuardStop;
  readonly guesses: {
    usage: Omit<MeteredUsage, 'isEstimated'> | undefined;
    /** the most that may be written before the answer begins */
    unstreamed: number;
  };
}

/**
 * Keeps the last byte back until the budgets have room for what the request asks for: an interface does not act on
 * content that has not come to its end.
 */
function reservation({ site, plan, api, held }: Guarded, { stop, guesses }: Reserving): BodyStep {
  const picker = createJsonPicker(requestMembers, 4096);
  let bytes = 0;
  let last = Buffer.alloc(0);
  return {
    push(piece) {
      if (piece.length === 0) {
        return piece;
      }
      picker.push(piece);
      bytes += piece.length;
      const out = Buffer.concat([last, piece.subarray(0, -1)]);
      last = Buffer.from(piece.subarray(-1));
      return out;
    },
    finish() {
      const members = picker.values();
      if (isBackground(members) && site.live.budgets.countUse(plan.credential?.name)) {
        stop.refuse(uncounted());
        return Buffer.alloc(0);
      }
      const named = members.get('model');
      const model = typeof named === 'string' ? named : modelInPath(plan.head.path);
      const input = Math.min(greatestInputTokens, Math.ceil(bytes / bytesPerToken));
      const usage = { model, input, cacheRead: 0, cacheWrite: 0, output: greatestOutput(members) ?? usualOutputTokens };
      guesses.usage = { ...usage, output: 0 };
      guesses.unstreamed = isStreamed(plan.head.path, members) ? 0 : usage.output;
      const { price } = priceOf(model, site.live.sandbox.guarding?.rules.prices ?? []);
      const overrun = held.reserve(amountsOf({ ...usage, isEstimated: true }, spendOf(usage, price)));
      if (overrun !== undefined) {
        stop.refuse(budgetRefusal(overrun, api));
        return Buffer.alloc(0);
      }
      return last;
    },
  };
}

/** Also where it is not clear. */
function isBackground(members: ReadonlyMap<string, unknown>): boolean {
  return members.has('background') && members.get('background') !== false && members.get('background') !== null;
}

function budgetFault(overrun: ReturnType<Held['sent']>, api: ModelApi | undefined): Refusal | undefined {
  return overrun === undefined ? undefined : budgetRefusal(overrun, api);
}

function uploadFault(bytes: number, { live }: Site): Refusal | undefined {
  const limits = (live.sandbox.guarding?.rules.uploads ?? []).flatMap(({ maxBytes }) => maxBytes ?? []);
  const limit = Math.min(...limits);
  return bytes > limit
    ? refuse('upload-too-large', `the content is larger than the ${limit} bytes that a request may carry here`)
    : undefined;
}

function secretStep({ live }: Site, stop: GuardStop): BodyStep | undefined {
  const { guarding } = live.sandbox;
  const mode = guarding?.rules.secrets.mode ?? 'off';
  const needles = guarding?.known.needlesFor(live.sandbox.id);
  if (needles === undefined || needles.size === 0 || mode === 'off') {
    return undefined;
  }
  return createSecretSearch({
    needles,
    mode,
    onFound: (label) => (mode === 'mask' ? stop.masked(label) : stop.refuse(secretRefusal(label, 'the content of the request'))),
  });
}
