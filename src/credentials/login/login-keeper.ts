import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { systemClock, type Clock } from '../../system/clock.ts';
import type { Material } from '../credential.ts';
import type { SealedStore } from '../sealed-store.ts';
import { secret } from '../secret.ts';
import { noteOf, parseLoginRecord, type LoginNote, type LoginRecord, type TokenFamily } from './token-family.ts';
import { refreshTokens, type NewTokens, type TokenPost } from './token-request.ts';

/**
 * The one owner of each login on this host. It renews the tokens once for all sandboxes and callers, before they end and
 * when they are refused, and gives a new access token to nobody before its refresh token is on disk.
 */
export interface LoginKeeper {
  /** `undefined`: no such login. Waits for a renewal that is under way. Throws `CREDENTIAL_UNAVAILABLE`, `LOGIN_ENDED`. */
  readonly obtain: (agent: string) => Promise<Material | undefined>;
  /** The upstream answered 401 to this access token: it is renewed, unless it was only just got for that reason. */
  readonly rejected: (agent: string, accessToken: string) => void;
  /** Puts a new login in the place of whatever was there. */
  readonly put: (agent: string, family: TokenFamily) => Promise<void>;
  /** The family that was there, so that it can be revoked. */
  readonly remove: (agent: string) => Promise<TokenFamily | undefined>;
  readonly list: () => Promise<readonly LoginView[]>;
}

export interface LoginView extends LoginNote {
  readonly agent: string;
}

export interface LoginKeeperOptions {
  readonly store: Pick<SealedStore, 'get' | 'put' | 'remove' | 'list'>;
  readonly post: TokenPost;
  readonly clock?: Clock | undefined;
  /** 0 up to 1: spreads the renewals of many installations */
  readonly random?: (() => number) | undefined;
  /** one line about what happened to a login, without any secret */
  readonly onEvent?: ((event: LoginEvent) => Promise<void>) | undefined;
}

export interface LoginEvent {
  readonly agent: string;
  readonly outcome: 'renewed' | 'stopped' | 'put-off';
  readonly why: string;
}

/** Renewed this long before the end, or in the last fifth of a short life; the margin varies by half. */
const marginMs = 10 * 60_000;
const marginShare = 5;
/** A token that was renewed for a 401 and is refused again so soon is not refused for its age. */
const rejectedAgainMs = 60_000;
const firstWaitMs = 1000;
const greatestWaitMs = 5 * 60_000;

/** What is known of one login in this process only. */
interface Watch {
  flight: Promise<LoginRecord> | undefined;
  /** work on the record, one after the other */
  queue: Promise<unknown>;
  failures: number;
  retryAtMs: number;
  /** whether the marker on disk was set by this process */
  ownsMarker: boolean;
  refused: string | undefined;
  refusedAtMs: number;
  readonly marginFactor: number;
}

interface Parts {
  readonly options: LoginKeeperOptions;
  readonly clock: Clock;
}

export function createLoginKeeper(options: LoginKeeperOptions): LoginKeeper {
  const parts: Parts = { options, clock: options.clock ?? systemClock };
  const watches = new Map<string, Watch>();
  const watchOf = (agent: string): Watch => {
    const known = watches.get(agent);
    const watch = known ?? newWatch((options.random ?? Math.random)());
    watches.set(agent, watch);
    return watch;
  };
  const inTurn = <T>(agent: string, work: () => Promise<T>): Promise<T> => {
    const watch = watchOf(agent);
    const turn = watch.queue.then(work);
    watch.queue = turn.catch(() => undefined);
    return turn;
  };
  const renew = (agent: string): Promise<LoginRecord> => {
    const watch = watchOf(agent);
    watch.flight ??= inTurn(agent, () => renewOnce(agent, watch, parts)).finally(() => {
      watch.flight = undefined;
    });
    return watch.flight;
  };
  return {
    async obtain(agent) {
      const watch = watchOf(agent);
      const record = await (watch.flight ?? read(agent, parts));
      if (record === undefined) {
        return undefined;
      }
      return materialOf(agent, needsRenewal(record, watch, parts) ? await renew(agent) : record, parts);
    },
    rejected(agent, accessToken) {
      const ask = async (): Promise<void> => {
        const watch = watchOf(agent);
        const record = await (watch.flight ?? read(agent, parts));
        // A token that was replaced meanwhile says nothing about the one of now.
        if (record?.family.accessToken === accessToken && parts.clock.monotonicMs() - watch.refusedAtMs >= rejectedAgainMs) {
          watch.refused = accessToken;
          watch.refusedAtMs = parts.clock.monotonicMs();
          await renew(agent);
        }
      };
      ask().catch(() => undefined);
    },
    put: (agent, family) =>
      inTurn(agent, async () => {
        watches.delete(agent);
        await write(agent, { version: 1, family }, parts);
      }),
    remove: (agent) =>
      inTurn(agent, async () => {
        const record = await read(agent, parts).catch(() => undefined);
        await options.store.remove('login', agent);
        return record?.family;
      }),
    async list() {
      const notes = await options.store.list('login');
      return await Promise.all(
        notes.map(async ({ name }) => ({ agent: name, ...viewOf(await read(name, parts).catch(() => undefined)) })),
      );
    },
  };
}

function newWatch(random: number): Watch {
  return {
    flight: undefined,
    queue: Promise.resolve(),
    failures: 0,
    retryAtMs: Number.NEGATIVE_INFINITY,
    ownsMarker: false,
    refused: undefined,
    refusedAtMs: Number.NEGATIVE_INFINITY,
    marginFactor: 0.5 + random / 2,
  };
}

function viewOf(record: LoginRecord | undefined): LoginNote {
  const unknown = { origin: 'browser', validUntilMs: undefined, plan: undefined, scopes: [], accountId: undefined } as const;
  return record === undefined ? { ...unknown, stopped: 'its sealed value cannot be read' } : noteOf(record);
}

async function read(agent: string, { options }: Parts): Promise<LoginRecord | undefined> {
  const value = await options.store.get('login', agent);
  return value === undefined ? undefined : parseLoginRecord(agent, value);
}

async function write(agent: string, record: LoginRecord, { options }: Parts): Promise<LoginRecord> {
  await options.store.put({ kind: 'login', name: agent, note: { ...noteOf(record) }, value: record });
  return record;
}

function needsRenewal({ family, pending, stopped }: LoginRecord, watch: Watch, { clock }: Parts): boolean {
  if (stopped !== undefined || family.refreshToken === undefined) {
    return false;
  }
  const { expiresMs = Number.POSITIVE_INFINITY, gotMs } = family;
  const margin = Math.min(marginMs, Math.max(0, expiresMs - gotMs) / marginShare) * watch.marginFactor;
  const isDue =
    expiresMs - clock.nowMs() <= margin || watch.refused === family.accessToken || (pending !== undefined && !watch.ownsMarker);
  return isDue && clock.monotonicMs() >= watch.retryAtMs;
}

/** Runs alone for its agent. What was settled meanwhile is seen first, so that no refresh token is sent twice. */
async function renewOnce(agent: string, watch: Watch, parts: Parts): Promise<LoginRecord> {
  const before = await read(agent, parts);
  if (before === undefined) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', `there is no login of ${visible(agent)} any more`);
  }
  if (!needsRenewal(before, watch, parts)) {
    return before;
  }
  const tries = watch.ownsMarker ? (before.pending?.tries ?? 0) : (before.pending?.tries ?? 0) + 1;
  if (tries > 2) {
    return await stop(agent, before, { why: cutOff, parts });
  }
  // On disk before anything is sent: whoever comes after a kill knows that this refresh token may be used up.
  const marked = await write(agent, { ...before, pending: { sinceMs: parts.clock.nowMs(), tries: Math.max(1, tries) } }, parts);
  watch.ownsMarker = true;
  const outcome = await refreshTokens(marked.family, parts.options.post, () => parts.clock.nowMs());
  switch (outcome.kind) {
    case 'tokens':
      return await accept(agent, { record: marked, tokens: outcome.tokens, watch, parts });
    case 'terminal':
      return await stop(agent, marked, { why: before.pending === undefined ? outcome.why : `${outcome.why}; ${cutOff}`, parts });
    case 'temporary':
      putOff(watch, parts);
      await tell(agent, { outcome: 'put-off', why: outcome.why }, parts);
      if (!outcome.isSent && before.pending === undefined) {
        watch.ownsMarker = false;
        return await write(agent, before, parts);
      }
      return marked;
    default:
      return outcome satisfies never;
  }
}

const cutOff = 'an earlier renewal was cut off before its answer was kept, so the tokens are lost';

interface Acceptance {
  readonly record: LoginRecord;
  readonly tokens: NewTokens;
  readonly watch: Watch;
  readonly parts: Parts;
}

async function accept(agent: string, { record, tokens, watch, parts }: Acceptance): Promise<LoginRecord> {
  const { family } = record;
  const renewed: TokenFamily = {
    ...family,
    accessToken: tokens.accessToken,
    // A server that does not rotate sends none (RFC 6749 section 6).
    refreshToken: tokens.refreshToken ?? family.refreshToken,
    idToken: tokens.idToken ?? family.idToken,
    expiresMs: tokens.expiresMs,
    scopes: [...(tokens.scopes ?? family.scopes)],
    gotMs: parts.clock.nowMs(),
  };
  const after = await keepTrying(() => write(agent, { version: 1, family: renewed }, parts));
  watch.ownsMarker = false;
  watch.failures = 0;
  watch.retryAtMs = Number.NEGATIVE_INFINITY;
  await tell(agent, { outcome: 'renewed', why: '' }, parts);
  return after;
}

/** The old token is used up by now: a disk that is full for a moment must not cost the login. */
async function keepTrying<T>(work: () => Promise<T>): Promise<T> {
  for (let round = 0; ; round += 1) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      return await work();
    } catch (error) {
      if (round === 20) {
        throw error;
      }
      // oxlint-disable-next-line no-await-in-loop -- waiting is the point
      await new Promise((resolve) => setTimeout(resolve, 50 * (round + 1)));
    }
  }
}

async function stop(agent: string, record: LoginRecord, { why, parts }: { why: string; parts: Parts }): Promise<LoginRecord> {
  const { family } = record;
  const stopped = await write(agent, { version: 1, family, stopped: { atMs: parts.clock.nowMs(), why } }, parts);
  await tell(agent, { outcome: 'stopped', why }, parts);
  return stopped;
}

function putOff(watch: Watch, { clock }: Parts): void {
  const wait = Math.min(greatestWaitMs, firstWaitMs * 2 ** watch.failures);
  watch.failures += 1;
  watch.retryAtMs = clock.monotonicMs() + wait * watch.marginFactor;
}

async function tell(agent: string, event: Omit<LoginEvent, 'agent'>, { options }: Parts): Promise<void> {
  // What cannot be told of has happened all the same.
  await options.onEvent?.({ agent, ...event }).catch(() => undefined);
}

function materialOf(agent: string, { family, stopped }: LoginRecord, { clock }: Parts): Material {
  const { accessToken, refreshToken, expiresMs = Number.POSITIVE_INFINITY } = family;
  if (stopped !== undefined) {
    throw unusable(agent, `the login of ${visible(agent)} has ended: ${visible(stopped.why)}`);
  }
  if (expiresMs > clock.nowMs()) {
    return { kind: 'text', secret: secret(accessToken) };
  }
  throw refreshToken === undefined
    ? unusable(agent, `the login of ${visible(agent)} has expired and cannot be renewed`)
    : new CasemateError('CREDENTIAL_UNAVAILABLE', `the login of ${visible(agent)} could not be renewed yet`, {
        hint: 'The authorization server did not answer as it should; it is asked again soon.',
      });
}

function unusable(agent: string, message: string): CasemateError {
  return new CasemateError('LOGIN_ENDED', message, { hint: `Log in again on the host: casemate login ${visible(agent)}` });
}
