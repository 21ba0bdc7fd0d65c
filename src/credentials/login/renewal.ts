import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Clock } from '../../system/clock.ts';
import { keepTrying } from '../../system/keep-trying.ts';
import type { LoginEvent, LoginKeeperOptions } from './login-options.ts';
import { noteOf, parseLoginRecord, type LoginRecord, type TokenFamily } from './token-family.ts';
import { refreshTokens, type NewTokens } from './token-request.ts';

/** One renewal of a login, from the marker on disk to the new tokens on disk, and when a renewal is due. */

/** Renewed this long before the end, or in the last fifth of a short life; the margin varies by half. */
const marginMs = 10 * 60_000;
const marginShare = 5;
/** A token that was renewed for a 401 and is refused again so soon is not refused for its age. */
export const rejectedAgainMs = 60_000;
const firstWaitMs = 1000;
const greatestWaitMs = 5 * 60_000;

/** What is known of one login in this process only. */
export interface Watch {
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

export interface Parts {
  readonly options: LoginKeeperOptions;
  readonly clock: Clock;
  /** by agent: renewed, and not on disk yet because that could not be written */
  readonly unsaved: Map<string, LoginRecord>;
}

export function newWatch(random: number): Watch {
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

/** Another login is there now: what became of the one before says nothing about it. Its queue stays the only one. */
export function forgetPast(watch: Watch): void {
  const { failures, retryAtMs, ownsMarker, refused, refusedAtMs } = newWatch(0);
  Object.assign(watch, { failures, retryAtMs, ownsMarker, refused, refusedAtMs });
}

export async function readLogin(agent: string, { options, unsaved }: Parts): Promise<LoginRecord | undefined> {
  const ahead = unsaved.get(agent);
  if (ahead !== undefined) {
    return ahead;
  }
  const value = await options.store.get('login', agent);
  return value === undefined ? undefined : parseLoginRecord(agent, value);
}

export async function writeLogin(agent: string, record: LoginRecord, { options, unsaved }: Parts): Promise<LoginRecord> {
  await options.store.put({ kind: 'login', name: agent, note: { ...noteOf(record) }, value: record });
  unsaved.delete(agent);
  return record;
}

/** Brings to the disk what it could not take before; runs alone for its agent. */
export async function saveAgain(agent: string, parts: Parts): Promise<void> {
  const ahead = parts.unsaved.get(agent);
  if (ahead !== undefined) {
    await writeLogin(agent, ahead, parts).catch(() => undefined);
  }
}

export function needsRenewal({ family, pending, stopped }: LoginRecord, watch: Watch, { clock }: Parts): boolean {
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
export async function renewOnce(agent: string, watch: Watch, parts: Parts): Promise<LoginRecord> {
  const before = await readLogin(agent, parts);
  if (before === undefined) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', `there is no login of ${visible(agent)} any more`);
  }
  if (!needsRenewal(before, watch, parts)) {
    return before;
  }
  const tries = Math.max(1, (before.pending?.tries ?? 0) + (watch.ownsMarker ? 0 : 1));
  if (tries > 2) {
    return await stop(agent, before, { why: cutOff, parts });
  }
  // On disk before anything is sent: whoever comes after a kill knows that this refresh token may be used up.
  const marked = await writeLogin(agent, { ...before, pending: { sinceMs: parts.clock.nowMs(), tries } }, parts);
  watch.ownsMarker = true;
  const outcome = await refreshTokens(marked.family, parts.options.post, () => parts.clock.nowMs());
  if (outcome.kind === 'tokens') {
    return await accept(agent, { record: marked, tokens: outcome.tokens, watch, parts });
  }
  if (outcome.kind === 'terminal') {
    return await stop(agent, marked, { why: before.pending === undefined ? outcome.why : `${outcome.why}; ${cutOff}`, parts });
  }
  putOff(watch, parts);
  await tell(agent, { outcome: 'put-off', why: outcome.why }, parts);
  if (outcome.isSent || before.pending !== undefined) {
    return marked;
  }
  watch.ownsMarker = false;
  return await writeLogin(agent, before, parts);
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
  const after: LoginRecord = { version: 1, family: renewed };
  // The old token is used up by now: a disk that is full for a moment must not cost the login. One that stays full does not either.
  await keepTrying(() => writeLogin(agent, after, parts), { attempts: 7, waitMs: 50 }).catch(() =>
    parts.unsaved.set(agent, after),
  );
  watch.ownsMarker = false;
  watch.failures = 0;
  watch.retryAtMs = Number.NEGATIVE_INFINITY;
  await tell(agent, { outcome: 'renewed', why: '' }, parts);
  return after;
}

async function stop(agent: string, record: LoginRecord, { why, parts }: { why: string; parts: Parts }): Promise<LoginRecord> {
  const { family } = record;
  const stopped = await writeLogin(agent, { version: 1, family, stopped: { atMs: parts.clock.nowMs(), why } }, parts);
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
