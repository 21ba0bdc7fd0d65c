import { randomUUID } from 'node:crypto';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { beginCodeFlow, type CodeFlow } from '../credentials/login/code-flow.ts';
import { familyFrom } from '../credentials/login/import-login.ts';
import { lookUpPlan } from '../credentials/login/look-up-plan.ts';
import type { LoginView } from '../credentials/login/login-keeper.ts';
import { loginAgents, oauthClientOf, type OAuthClient, type OAuthServer } from '../credentials/login/oauth-clients.ts';
import type { TokenFamily } from '../credentials/login/token-family.ts';
import { revokeFamily } from '../credentials/login/token-request.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import type { Plan } from '../sandbox/plan/plan.ts';
import type { LoginShown } from './protocol.ts';
import type { Calling } from './server.ts';
import { timeText } from './views.ts';

/** The calls about logins of agents. Codes and tokens come in; none ever goes out. */
type LoginCalls = Pick<Calling, 'login-list' | 'login-begin' | 'login-finish' | 'login-import' | 'login-remove'>;

/** A login that was begun is forgotten after this long. */
const patienceMs = 15 * 60_000;

interface Begun {
  readonly client: OAuthClient;
  readonly flow: CodeFlow;
  readonly origin: string | undefined;
  readonly atMs: number;
}

export function createLoginCalls(context: SandboxContext): LoginCalls {
  const begun = new Map<string, Begun>();
  const { logins, clock, loginPost } = context;
  return {
    'login-list': async () => (await logins.list()).map(shown),
    async 'login-begin'({ agent, server, redirectUri }) {
      const client = clientOf(agent);
      const flow = beginCodeFlow(client, { server: serverOf(client, server), redirectUri });
      const id = randomUUID();
      for (const [old, { atMs }] of begun) {
        if (clock.nowMs() - atMs > patienceMs) {
          begun.delete(old);
        }
      }
      begun.set(id, { client, flow, origin: server, atMs: clock.nowMs() });
      return { id, url: flow.url };
    },
    async 'login-finish'({ id, code }) {
      const found = begun.get(id);
      begun.delete(id);
      if (found === undefined) {
        throw new CasemateError('LOGIN_ENDED', 'no login of this kind is under way any more', { hint: 'Run the command again.' });
      }
      const family = await found.flow.finish(code, loginPost, () => clock.nowMs());
      return await keep(context, found.client, { family, origin: found.origin });
    },
    async 'login-import'({ agent, text, server }) {
      const client = clientOf(agent);
      const family = familyFrom(client, text, { server: serverOf(client, server), nowMs: clock.nowMs() });
      return await keep(context, client, { family, origin: server });
    },
    async 'login-remove'({ agent }) {
      const client = clientOf(agent);
      const family = await logins.remove(client.agent);
      const revoked = family !== undefined && (await revokeFamily(family, loginPost));
      if (family !== undefined) {
        await record(context, { action: 'login.remove', agent, outcome: revoked ? 'revoked' : 'removed' });
      }
      return { agent, removed: family !== undefined, revoked };
    },
  };
}

interface Got {
  readonly family: TokenFamily;
  readonly origin: string | undefined;
}

/** The journal hears of it first; what it does not take is not kept. */
async function keep(context: SandboxContext, client: OAuthClient, { family: got, origin }: Got) {
  const { agent } = client;
  const plan = got.plan ?? (await lookUpPlan(client, { accessToken: got.accessToken, origin }, context.sendOnHost));
  const family = { ...got, plan };
  await record(context, { action: 'login.add', agent, outcome: family.origin });
  await context.logins.put(agent, family);
  const view = (await context.logins.list()).find((login) => login.agent === agent);
  return view === undefined ? { agent, origin: family.origin, scopes: family.scopes } : shown(view);
}

async function record(
  { journal, uid }: SandboxContext,
  facts: { action: string; agent: string; outcome: string },
): Promise<void> {
  const { action, agent, outcome } = facts;
  await journal.append({ actor: actorOf(uid), action, subject: agent, decision: 'none', outcome });
}

/** Those that the plan of a sandbox uses, as they are now. */
export async function loginsOf({ logins }: SandboxContext, { credentials }: Plan): Promise<readonly LoginShown[]> {
  const agents = new Set(credentials.flatMap(({ rule }) => (rule.source.kind === 'login' ? [rule.source.agent] : [])));
  return agents.size === 0 ? [] : (await logins.list()).filter(({ agent }) => agents.has(agent)).map(shown);
}

function shown({ agent, origin, plan, scopes, validUntilMs, stopped }: LoginView) {
  const validUntil = validUntilMs === undefined ? undefined : timeText(validUntilMs);
  return { agent, origin, plan, scopes, validUntil, stopped };
}

function clientOf(agent: string): OAuthClient {
  const client = oauthClientOf(agent);
  if (client === undefined) {
    throw new CasemateError('USAGE', `there is no login of "${visible(agent)}"`, { hint: `Logins: ${loginAgents.join(', ')}.` });
  }
  return client;
}

/** The maker's, or the same paths at another origin: over TLS, or on this very host. Throws `USAGE`. */
function serverOf({ server }: OAuthClient, origin: string | undefined): OAuthServer {
  if (origin === undefined) {
    return server;
  }
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  const isOwn = url !== undefined && /^(?:localhost|127(?:\.\d{1,3}){3})$/.test(url.hostname);
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && isOwn)) || url.pathname !== '/') {
    throw new CasemateError('USAGE', `--server "${visible(origin)}" is not https://HOST, nor http:// on this host`);
  }
  const at = (full: string): string => new URL(new URL(full).pathname, url).href;
  return { authorizeUrl: at(server.authorizeUrl), tokenUrl: at(server.tokenUrl), revokeUrl: at(server.revokeUrl) };
}
