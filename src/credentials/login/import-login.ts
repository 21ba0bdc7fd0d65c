import { z } from 'zod';

import { parseJson } from '../../base/json.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { accountIn, expiryIn } from './code-flow.ts';
import type { OAuthClient, OAuthServer } from './oauth-clients.ts';
import type { TokenFamily } from './token-family.ts';

/**
 * Reads the login that an agent's own client keeps on the host. Observed with Claude Code 2.1.329 and Codex 0.169.0 on
 * 2026-11-21.
 */

const token = z.string().regex(/^[\x21-\x7e]{8,65536}$/);

const claudeFile = z.object({
  claudeAiOauth: z.object({
    accessToken: token,
    refreshToken: token.nullish(),
    expiresAt: z.number().nullish(),
    scopes: z.array(z.string().max(256)).max(64).nullish(),
    subscriptionType: z.string().max(64).nullish(),
  }),
});

const codexFile = z.object({
  tokens: z.object({
    access_token: token,
    refresh_token: token,
    id_token: token.nullish(),
    account_id: z.string().max(256).nullish(),
  }),
});

export interface ImportFacts {
  readonly server: OAuthServer;
  readonly nowMs: number;
}

/** `text`: of the file, or a single long-lived token. Throws `CREDENTIAL_UNAVAILABLE`; the text is in no message. */
export function familyFrom(client: OAuthClient, text: string, facts: ImportFacts): TokenFamily {
  const { server, nowMs } = facts;
  const common = { gotMs: nowMs, clientId: client.clientId, server } as const;
  if (/^[\x21-\x7e]+$/.test(text.trim()) && !text.trim().startsWith('{')) {
    return { ...common, accessToken: single(client, text.trim()), scopes: ['user:inference'], origin: 'token' };
  }
  const family = client.agent === 'codex' ? fromCodex(text) : fromClaude(text);
  if (family === undefined) {
    throw unreadable(client);
  }
  return { ...common, ...family, origin: 'import' };
}

function single(client: OAuthClient, text: string): string {
  if (client.agent !== 'claude' || !text.startsWith('sk-ant-oat') || !token.safeParse(text).success) {
    throw unreadable(client);
  }
  return text;
}

type Found = Omit<TokenFamily, 'gotMs' | 'clientId' | 'server' | 'origin'>;

function fromClaude(text: string): Found | undefined {
  const login = claudeFile.safeParse(parseJson(text)).data?.claudeAiOauth;
  return (
    login && {
      accessToken: login.accessToken,
      refreshToken: login.refreshToken ?? undefined,
      expiresMs: login.expiresAt ?? undefined,
      scopes: login.scopes ?? [],
      plan: login.subscriptionType ?? undefined,
    }
  );
}

function fromCodex(text: string): Found | undefined {
  const tokens = codexFile.safeParse(parseJson(text)).data?.tokens;
  if (tokens === undefined) {
    return undefined;
  }
  const idToken = tokens.id_token ?? undefined;
  const account = accountIn({ idToken, accessToken: tokens.access_token });
  return {
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    idToken,
    expiresMs: expiryIn(tokens.access_token),
    scopes: [],
    plan: account.plan,
    accountId: tokens.account_id ?? account.accountId,
  };
}

function unreadable({ agent, title }: OAuthClient): CasemateError {
  return new CasemateError('CREDENTIAL_UNAVAILABLE', `what is kept on this host is no login of ${title}`, {
    hint: `Log in with a login of its own: casemate login ${visible(agent)}`,
  });
}
