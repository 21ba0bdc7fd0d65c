import type { LocalResponder } from '../credential.ts';
import type { PhantomOwner } from '../phantom.ts';
import { localLogin } from './local-login.ts';
import { oauthClientOf } from './oauth-clients.ts';
import { standInMaker, type StandInMaker } from './stand-ins.ts';

/** A login as one sandbox has it: its stand-in tokens, and the authorization server on the host that renews them. */
export interface BoundLogin {
  readonly standIns: StandInMaker;
  readonly local: LocalResponder;
}

export interface LoginFacts {
  /** what the agent may know of the account */
  readonly account: { readonly plan: string | undefined; readonly accountId: string | undefined } | undefined;
  readonly nowMs: () => number;
}

/** `undefined`: this agent has no login. */
export function bindLogin(agent: string, owner: PhantomOwner, { account, nowMs }: LoginFacts): BoundLogin | undefined {
  const client = oauthClientOf(agent);
  if (client === undefined) {
    return undefined;
  }
  const form = client.agent === 'codex' ? 'codex' : 'claude';
  const standIns = standInMaker({ owner, form, nowMs, account });
  return { standIns, local: localLogin(client, standIns) };
}
