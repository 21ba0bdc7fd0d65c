import { z } from 'zod';

import { parseJson } from '../../base/json.ts';
import { visible } from '../../base/text.ts';
import type { OAuthClient } from './oauth-clients.ts';
import type { TokenFamily } from './token-family.ts';

/** Requests to an authorization server, and what its answers mean (RFC 6749 sections 4.1.3, 5 and 6, RFC 7009). */

/** Carries one request out on the host. It throws an `UnsentError` where nothing of it was sent. */
export type TokenPost = (request: TokenRequest) => Promise<TokenReply>;

export interface TokenRequest {
  readonly url: string;
  readonly contentType: string;
  readonly body: string;
  readonly timeoutMs: number;
}

export interface TokenReply {
  readonly status: number;
  readonly body: string;
}

/** Nothing of the request left the host: it may be sent again without doubt. */
export class UnsentError extends Error {
  override readonly name = 'UnsentError';
}

export type TokenOutcome =
  | { readonly kind: 'tokens'; readonly tokens: NewTokens }
  /** The server will never take this again. `why` is a sentence. */
  | { readonly kind: 'terminal'; readonly why: string }
  /** Try again later. `isSent`: the server may have acted on it all the same. */
  | { readonly kind: 'temporary'; readonly why: string; readonly isSent: boolean };

export type NewTokens = Pick<TokenFamily, 'accessToken' | 'refreshToken' | 'idToken' | 'expiresMs'> & {
  readonly scopes: readonly string[] | undefined;
};

const answer = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]{1,65536}$/),
  refresh_token: z
    .string()
    .regex(/^[\x21-\x7e]{1,65536}$/)
    .optional(),
  id_token: z
    .string()
    .regex(/^[\x21-\x7e]{1,65536}$/)
    .optional(),
  expires_in: z.number().positive().optional(),
  scope: z.string().max(4096).optional(),
});

/** RFC 6749 section 5.2: what no second attempt mends. */
const terminalErrors = new Set([
  'invalid_grant',
  'invalid_client',
  'unauthorized_client',
  'access_denied',
  'unsupported_grant_type',
  'invalid_scope',
]);

const timeoutMs = 30_000;

export async function refreshTokens(family: TokenFamily, post: TokenPost, nowMs: () => number): Promise<TokenOutcome> {
  const { clientId, refreshToken, scopes, server } = family;
  const scope = scopes.length === 0 ? {} : { scope: scopes.join(' ') };
  const body = JSON.stringify({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: clientId, ...scope });
  return await ask({ url: server.tokenUrl, contentType: 'application/json', body, timeoutMs }, post, nowMs);
}

export interface CodeExchange {
  readonly code: string;
  readonly state: string;
  readonly verifier: string;
  readonly redirectUri: string;
  readonly tokenUrl: string;
}

export async function exchangeCode(
  client: OAuthClient,
  exchange: CodeExchange,
  { post, nowMs }: { readonly post: TokenPost; readonly nowMs: () => number },
): Promise<TokenOutcome> {
  const fields = {
    grant_type: 'authorization_code',
    code: exchange.code,
    redirect_uri: exchange.redirectUri,
    client_id: client.clientId,
    code_verifier: exchange.verifier,
    ...(client.needsState ? { state: exchange.state } : {}),
  };
  const isForm = client.exchange === 'form';
  const request = {
    url: exchange.tokenUrl,
    contentType: isForm ? 'application/x-www-form-urlencoded' : 'application/json',
    body: isForm ? new URLSearchParams(fields).toString() : JSON.stringify(fields),
    timeoutMs,
  };
  return await ask(request, post, nowMs);
}

/** Whether the server said that the family is ended. */
export async function revokeFamily(
  { server, clientId, refreshToken, accessToken }: TokenFamily,
  post: TokenPost,
): Promise<boolean> {
  const token = refreshToken ?? accessToken;
  const hint = refreshToken === undefined ? 'access_token' : 'refresh_token';
  const body = JSON.stringify({ token, token_type_hint: hint, client_id: clientId });
  try {
    const { status } = await post({ url: server.revokeUrl, contentType: 'application/json', body, timeoutMs: 10_000 });
    return status >= 200 && status < 300;
  } catch {
    return false;
  }
}

async function ask(request: TokenRequest, post: TokenPost, nowMs: () => number): Promise<TokenOutcome> {
  const askedMs = nowMs();
  try {
    return outcomeOf(await post(request), askedMs);
  } catch (error) {
    // The text of other faults may hold what was sent.
    return error instanceof UnsentError
      ? { kind: 'temporary', why: error.message, isSent: false }
      : { kind: 'temporary', why: 'the authorization server did not answer', isSent: true };
  }
}

/** Life is counted from when the request was sent, so that it is never thought longer than it is. */
export function outcomeOf({ status, body }: TokenReply, askedMs: number): TokenOutcome {
  const value = parseJson(body);
  if (status >= 200 && status < 300) {
    const parsed = answer.safeParse(value);
    return parsed.success
      ? { kind: 'tokens', tokens: tokensOf(parsed.data, askedMs) }
      : { kind: 'temporary', why: 'the authorization server answered what cannot be read', isSent: true };
  }
  const code = errorCode(value);
  if (code !== undefined && terminalErrors.has(code)) {
    return { kind: 'terminal', why: `the authorization server answered ${code}` };
  }
  // OpenAI's names what became of a refresh token: refresh_token_expired, _reused, _invalidated. A bare 401 or 403 is of
  // something that stands between.
  if (status === 401 && code !== undefined) {
    return { kind: 'terminal', why: `the authorization server answered 401 (${code})` };
  }
  return { kind: 'temporary', why: `the authorization server answered ${status}`, isSent: true };
}

function tokensOf(
  { access_token, refresh_token, id_token, expires_in, scope }: z.output<typeof answer>,
  askedMs: number,
): NewTokens {
  return {
    accessToken: access_token,
    refreshToken: refresh_token,
    idToken: id_token,
    expiresMs: expires_in === undefined ? undefined : askedMs + expires_in * 1000,
    scopes: scope?.split(' ').filter((part) => part !== ''),
  };
}

const oauthError = z.object({
  error: z.union([z.string(), z.object({ code: z.string().optional(), type: z.string().optional() })]),
});

/** `error` of the standard, or the `code` or `type` within it that both makers' servers also use. */
function errorCode(value: unknown): string | undefined {
  const { data } = oauthError.safeParse(value);
  const code = typeof data?.error === 'object' ? (data.error.code ?? data.error.type) : data?.error;
  return code === undefined ? undefined : visible(code.slice(0, 100));
}
