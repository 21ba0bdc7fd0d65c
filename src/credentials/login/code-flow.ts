import { createHash, randomBytes } from 'node:crypto';

import { CasemateError } from '../../base/errors.ts';
import { parseJson } from '../../base/json.ts';
import { visible } from '../../base/text.ts';
import type { OAuthClient, OAuthServer } from './oauth-clients.ts';
import type { TokenFamily } from './token-family.ts';
import { exchangeCode, type TokenPost } from './token-request.ts';

/** Our own login: the authorization code flow with PKCE (RFC 7636). The verifier stays in this process. */
export interface CodeFlow {
  /** for the person's browser */
  readonly url: string;
  readonly redirectUri: string;
  /** `code` as the page shows it, `CODE` or `CODE#STATE`. Throws `LOGIN_ENDED`. */
  readonly finish: (code: string, post: TokenPost, nowMs: () => number) => Promise<TokenFamily>;
}

export interface CodeFlowOptions {
  readonly server: OAuthServer;
  /** `undefined`: the page of the server that shows the code */
  readonly redirectUri: string | undefined;
  readonly random?: ((bytes: number) => Buffer) | undefined;
}

export function beginCodeFlow(client: OAuthClient, { server, redirectUri, random = randomBytes }: CodeFlowOptions): CodeFlow {
  const redirect = redirectUri ?? client.manualRedirect ?? '';
  const verifier = random(32).toString('base64url');
  const state = random(32).toString('base64url');
  const url = new URL(server.authorizeUrl);
  const parameters = {
    ...client.extra,
    client_id: client.clientId,
    response_type: 'code',
    redirect_uri: redirect,
    scope: client.scopes.join(' '),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
  };
  for (const [name, value] of Object.entries(parameters)) {
    url.searchParams.set(name, value);
  }
  return {
    url: url.href,
    redirectUri: redirect,
    async finish(pasted, post, nowMs) {
      const [code = '', given = state] = pasted.trim().split('#');
      if (code === '' || given !== state) {
        throw new CasemateError('LOGIN_ENDED', 'this is not the code of the login that was begun', {
          hint: 'Copy the whole code of the newest page, then run the command again.',
        });
      }
      const exchange = { code, state, verifier, redirectUri: redirect, tokenUrl: server.tokenUrl };
      const outcome = await exchangeCode(client, exchange, { post, nowMs });
      if (outcome.kind !== 'tokens') {
        throw new CasemateError('LOGIN_ENDED', `the login did not succeed: ${visible(outcome.why)}`, {
          hint: 'Run the command again.',
        });
      }
      const { tokens } = outcome;
      const scopes = [...(tokens.scopes ?? client.scopes)];
      const { clientId } = client;
      return { ...tokens, ...accountIn(tokens), scopes, gotMs: nowMs(), clientId, server, origin: 'browser' };
    },
  };
}

/** What the id token says about the account (OpenAI's claims); never trusted for anything but to show it. */
export function accountIn({ idToken, accessToken }: { idToken?: string | undefined; accessToken: string }): {
  readonly plan: string | undefined;
  readonly accountId: string | undefined;
} {
  const claims = claimsOf(idToken ?? accessToken);
  const auth = member(claims, 'https://api.openai.com/auth');
  const text = (name: string): string | undefined => {
    const value = member(auth, name);
    return typeof value === 'string' && /^[\x21-\x7e]{1,128}$/.test(value) ? value : undefined;
  };
  return { plan: text('chatgpt_plan_type')?.slice(0, 64), accountId: text('chatgpt_account_id') };
}

/** End of life that a JSON web token states (RFC 7519 section 4.1.4), milliseconds since 1970. */
export function expiryIn(token: string): number | undefined {
  const exp = member(claimsOf(token), 'exp');
  return typeof exp === 'number' ? exp * 1000 : undefined;
}

function claimsOf(token: string): unknown {
  return parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}
