import { createHash } from 'node:crypto';

import { CasemateError } from '../base/errors.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import type { CallerClaim } from './caller-view.ts';

/** What a token allows at this moment. Nothing is cached, because it may be revoked between two calls. */
type Known = Pick<SandboxContext, 'store' | 'clock'>;

/** Tokens are random: nothing is gained by a slow hash. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The caller of this token as it was added; `undefined`: nobody's, revoked, or expired. */
export function claimOf({ store, clock }: Known, hash: string): CallerClaim | undefined {
  const caller = store.callers.byToken(hash);
  const isOver = caller?.expiresMs !== undefined && clock.nowMs() >= caller.expiresMs;
  return caller === undefined || isOver
    ? undefined
    : { name: caller.name, roots: caller.roots, role: caller.role, policy: caller.policy, token: hash };
}

/** Whether a claim still holds. One without a token is of a server that the person started, and holds while that runs. */
export function claimHolds(known: Known, { token }: CallerClaim): boolean {
  return token === undefined || claimOf(known, token) !== undefined;
}

/** What such a claim is worth: with a token that, whatever else it says. */
export function judgedClaim(known: Known, claim: CallerClaim): CallerClaim {
  return (claim.token === undefined ? undefined : claimOf(known, claim.token)) ?? claim;
}

/** Throws `NOT_ALLOWED` where the token is over. */
export function requireClaim(known: Known, claim: CallerClaim): void {
  if (!claimHolds(known, claim)) {
    throw new CasemateError('NOT_ALLOWED', 'the token of this caller was revoked or has expired', {
      hint: 'Ask the person at this host for another.',
    });
  }
}
