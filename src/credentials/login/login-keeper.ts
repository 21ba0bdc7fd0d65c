import type { LoginKeeperOptions } from './login-options.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { systemClock } from '../../system/clock.ts';
import type { Material } from '../credential.ts';
import { secret } from '../secret.ts';
import {
  forgetPast,
  needsRenewal,
  newWatch,
  readLogin,
  saveAgain,
  rejectedAgainMs,
  renewOnce,
  writeLogin,
  type Parts,
  type Watch,
} from './renewal.ts';
import { noteOf, type LoginNote, type LoginRecord, type TokenFamily } from './token-family.ts';

/**
 * The one owner of each login on this host. It renews tokens once for all sandboxes and callers, before they expire and when
 * they are refused, and hands out a new access token only after its refresh token is on disk.
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

export function createLoginKeeper(options: LoginKeeperOptions): LoginKeeper {
  const parts: Parts = { options, clock: options.clock ?? systemClock, unsaved: new Map() };
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
  /** A token that was replaced meanwhile says nothing about the one of now. */
  const refuse = async (agent: string, accessToken: string): Promise<void> => {
    const watch = watchOf(agent);
    const record = await (watch.flight ?? readLogin(agent, parts));
    if (record?.family.accessToken === accessToken && parts.clock.monotonicMs() - watch.refusedAtMs >= rejectedAgainMs) {
      watch.refused = accessToken;
      watch.refusedAtMs = parts.clock.monotonicMs();
      await renew(agent);
    }
  };
  return {
    async obtain(agent) {
      const watch = watchOf(agent);
      if (parts.unsaved.has(agent)) {
        await inTurn(agent, () => saveAgain(agent, parts));
      }
      const record = await (watch.flight ?? readLogin(agent, parts));
      if (record === undefined) {
        return undefined;
      }
      return materialOf(agent, needsRenewal(record, watch, parts) ? await renew(agent) : record, parts);
    },
    rejected(agent, accessToken) {
      refuse(agent, accessToken).catch(() => undefined);
    },
    put: (agent, family) =>
      inTurn(agent, async () => {
        await writeLogin(agent, { version: 1, family }, parts);
        forgetPast(watchOf(agent));
      }),
    remove: (agent) => inTurn(agent, () => takeOut(agent, parts)),
    list: () => listLogins(parts),
  };
}

async function takeOut(agent: string, parts: Parts): Promise<TokenFamily | undefined> {
  const record = await readLogin(agent, parts).catch(() => undefined);
  await parts.options.store.remove('login', agent);
  parts.unsaved.delete(agent);
  return record?.family;
}

async function listLogins(parts: Parts): Promise<readonly LoginView[]> {
  const notes = await parts.options.store.list('login');
  return await Promise.all(
    notes.map(async ({ name }) => ({ agent: name, ...viewOf(await readLogin(name, parts).catch(() => undefined)) })),
  );
}

function viewOf(record: LoginRecord | undefined): LoginNote {
  const unknown = { origin: 'browser', validUntilMs: undefined, plan: undefined, scopes: [], accountId: undefined } as const;
  return record === undefined ? { ...unknown, stopped: 'its sealed value cannot be read' } : noteOf(record);
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
