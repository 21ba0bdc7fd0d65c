import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';

/** One login as it is sealed: the tokens that descend from one another, and what happened to them. */

const server = z.object({ authorizeUrl: z.string(), tokenUrl: z.string(), revokeUrl: z.string() });

const family = z.object({
  accessToken: z.string().min(1),
  /** absent: a token that cannot be renewed, such as one of `claude setup-token` */
  refreshToken: z.string().min(1).optional(),
  idToken: z.string().min(1).optional(),
  /** names the account at its maker; an identifier and no secret */
  accountId: z.string().min(1).max(256).optional(),
  /** milliseconds since 1970; absent: no end is known */
  expiresMs: z.number().optional(),
  /** when this access token was got, milliseconds since 1970 */
  gotMs: z.number(),
  scopes: z.array(z.string().max(256)).max(64),
  plan: z.string().max(64).optional(),
  clientId: z.string(),
  server,
  /** `browser`: a family of our own; `import`: taken over from the host's client; `token`: a single long-lived token */
  origin: z.enum(['browser', 'import', 'token']),
});

const record = z.object({
  version: z.literal(1),
  family,
  /** A refresh was begun and no answer is known: the refresh token may be used up. `tries`: by how many daemons. */
  pending: z.object({ sinceMs: z.number(), tries: z.number() }).optional(),
  /** No further attempt is made: a person has to log in again. */
  stopped: z.object({ atMs: z.number(), why: z.string().max(1024) }).optional(),
});

export type TokenFamily = z.output<typeof family>;
export type LoginRecord = z.output<typeof record>;

/** A record from the sealed store. Throws `CREDENTIAL_UNAVAILABLE`. */
export function parseLoginRecord(agent: string, value: unknown): LoginRecord {
  const parsed = record.safeParse(value);
  if (!parsed.success) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', `the sealed login of ${visible(agent)} cannot be read`, {
      hint: `Log in again: casemate login ${visible(agent)}`,
    });
  }
  return parsed.data;
}

/** What may be read of a login without opening it. */
export interface LoginNote {
  readonly origin: TokenFamily['origin'];
  readonly validUntilMs: number | undefined;
  readonly plan: string | undefined;
  readonly scopes: readonly string[];
  readonly accountId: string | undefined;
  readonly stopped: string | undefined;
}

export function noteOf({ family: { origin, expiresMs, plan, scopes, accountId }, stopped }: LoginRecord): LoginNote {
  return { origin, validUntilMs: expiresMs, plan, scopes, accountId, stopped: stopped?.why };
}
