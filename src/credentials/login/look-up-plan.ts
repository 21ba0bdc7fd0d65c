import { z } from 'zod';

import type { SendOnHost } from '../host-request.ts';
import type { OAuthClient } from './oauth-clients.ts';

/**
 * Looks up the subscription plan, which the token response for Claude leaves out. Claude Code asks for it after a login, so we
 * ask for it too, once, on the host. The answer also holds a name and a mail address; only the plan is kept.
 */

const profile = z.object({ organization: z.object({ organization_type: z.string().max(64) }) });

/** As Claude Code 2.1.329 names them in its own file. */
const plans: ReadonlyMap<string, string> = new Map([
  ['claude_max', 'max'],
  ['claude_pro', 'pro'],
  ['claude_enterprise', 'enterprise'],
  ['claude_team', 'team'],
]);

export interface PlanQuestion {
  readonly accessToken: string;
  /** another server in the place of the maker's: `https://HOST`; `undefined`: the maker's */
  readonly origin: string | undefined;
}

/** `undefined` where there is no such question, no answer, or none that is understood: a login holds without it. */
export async function lookUpPlan(
  { profileUrl }: Pick<OAuthClient, 'profileUrl'>,
  { accessToken, origin }: PlanQuestion,
  send: SendOnHost,
): Promise<string | undefined> {
  if (profileUrl === undefined) {
    return undefined;
  }
  const url = origin === undefined ? profileUrl : new URL(new URL(profileUrl).pathname, origin).href;
  const fields = [['authorization', `Bearer ${accessToken}`]] as const;
  try {
    const { status, body } = await send({ url, method: 'GET', fields, body: undefined, timeoutMs: 10_000 });
    const type = status === 200 ? profile.safeParse(JSON.parse(body)).data?.organization.organization_type : undefined;
    return type === undefined ? undefined : plans.get(type);
  } catch {
    // The text of the fault may hold what was sent.
    return undefined;
  }
}
