import { hkdfSync } from 'node:crypto';

import { makePhantom, type PhantomOwner } from '../phantom.ts';
import type { PhantomShape } from '../providers.ts';

/**
 * What a sandbox holds instead of the tokens of a login. Every few hours they change (a generation), so that agents renew them
 * as they would real ones. All are derived, so nothing has to be stored across a restart.
 */
export interface StandIns {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** JSON web token that only says what the agent reads out of it */
  readonly idToken: string;
  /** until when `accessToken` is taken, milliseconds since 1970 */
  readonly expiresMs: number;
}

export interface StandInMaker {
  readonly now: () => StandIns;
  /** everything of the sandbox's that may turn up: this generation, the one before, and what all have in common */
  readonly all: () => readonly string[];
  /** Whether it is an access token of this sandbox, of whatever generation: clocks are set, and machines sleep. */
  readonly isAccess: (token: string) => boolean;
  /** Whether it is a refresh token of this sandbox, of whatever generation. */
  readonly isRefresh: (token: string) => boolean;
  readonly nowMs: () => number;
}

/** A generation is taken in its own span and in the next one. */
const spanMs = 4 * 60 * 60_000;

type TokenForm = 'claude' | 'codex';

export interface StandInFacts {
  /** what the agent shows of the account; the id token repeats it */
  readonly account: { readonly plan: string | undefined; readonly accountId: string | undefined } | undefined;
  readonly owner: PhantomOwner;
  readonly form: TokenForm;
  readonly nowMs: () => number;
}

const shapes: Readonly<Record<TokenForm, Readonly<Record<'access' | 'refresh', PhantomShape>>>> = {
  claude: {
    // 108 characters as real ones have, the last part of each generation's own.
    access: { prefix: 'sk-ant-oat01-', letters: 60, suffix: '' },
    refresh: { prefix: 'sk-ant-ort01-', letters: 60, suffix: '' },
  },
  codex: { access: { prefix: '', letters: 60, suffix: '' }, refresh: { prefix: 'rt_', letters: 60, suffix: '' } },
};

export function standInMaker({ owner, form, nowMs, account }: StandInFacts): StandInMaker {
  const stem = (part: 'access' | 'refresh'): string => makePhantom(shapes[form][part], { ...owner, part });
  const access = stem('access');
  const refresh = stem('refresh');
  const id = makePhantom(shapes.codex.access, { ...owner, part: 'id' });
  const made = new Map<number, StandIns>();
  const of = (generation: number): StandIns => {
    const known = made.get(generation) ?? build(generation);
    made.set(generation, known);
    made.delete(generation - 3);
    return known;
  };
  const build = (generation: number): StandIns => {
    const expiresMs = (generation + 2) * spanMs;
    const own = (part: string): string => tail(owner, `${part} ${generation}`);
    const accessText = `${access}${own('access')}`;
    return {
      accessToken: form === 'claude' ? `${accessText}AA` : jsonWebToken(accessText, { exp: Math.floor(expiresMs / 1000) }),
      refreshToken: `${refresh}${own('refresh')}AA`,
      idToken: jsonWebToken(`${id}${own('id')}`, { exp: Math.floor(expiresMs / 1000), ...accountClaims(account) }),
      expiresMs,
    };
  };
  const generationNow = (): number => Math.floor(nowMs() / spanMs);
  return {
    now: () => of(generationNow()),
    all() {
      const generation = generationNow();
      const texts = [of(generation), of(generation - 1)].flatMap((one) => [one.accessToken, one.refreshToken]);
      return [...texts, access, refresh, id];
    },
    isAccess: (token) => isAccess(token, access, form),
    isRefresh: (token) => token.startsWith(refresh),
    nowMs,
  };
}

function isAccess(token: string, stem: string, form: TokenForm): boolean {
  const parts = token.split('.');
  const own = form === 'claude' ? token : (parts[2] ?? '');
  const isWhole = form === 'claude' ? /^[0-9a-f]{28}AA$/ : /^[0-9a-f]{28}$/;
  return parts.length === (form === 'claude' ? 1 : 3) && own.startsWith(stem) && isWhole.test(own.slice(stem.length));
}

function tail({ installationKey, sandboxId, credentialName }: PhantomOwner, part: string): string {
  const info = JSON.stringify(['casemate stand-in', sandboxId, credentialName, part]);
  const hex = Buffer.from(hkdfSync('sha512', installationKey, '', info, 14)).toString('hex');
  return hex.slice(0, 28);
}

/** The claims that Codex 0.169.0 reads: none of them is a secret. It renews only where file and token name the same account, or none. */
function accountClaims(account: StandInFacts['account']): Readonly<Record<string, unknown>> {
  const { plan = 'unknown', accountId } = account ?? {};
  const auth = {
    chatgpt_plan_type: plan,
    ...(accountId === undefined ? {} : { chatgpt_account_id: accountId }),
    chatgpt_user_id: 'user-casemate',
  };
  return { sub: 'casemate', email: 'sandbox@casemate.invalid', 'https://api.openai.com/auth': auth };
}

/** Three parts as RFC 7519 has them; the signature is no signature but the stand-in itself. */
function jsonWebToken(signature: string, claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.${signature}`;
}
