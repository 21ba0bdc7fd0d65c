/**
 * The public OAuth clients of the agents, as data. Taken from Claude Code 2.1.329 and Codex 0.169.0 on 2026-11-21: both are
 * public clients with PKCE (RFC 7636) whose refresh tokens rotate.
 */
export interface OAuthClient {
  readonly agent: string;
  readonly title: string;
  readonly clientId: string;
  readonly server: OAuthServer;
  /** what a login of our own asks for: no more than the agent needs to work */
  readonly scopes: readonly string[];
  /** parameters of the authorization request beside those of the standard */
  readonly extra: Readonly<Record<string, string>>;
  /** address that shows the code for the person to copy; `undefined`: only a loopback redirect is taken */
  readonly manualRedirect: string | undefined;
  /** `port` 0: any free one */
  readonly loopback: { readonly port: number; readonly path: string };
  /** form of the request that exchanges the code; a refresh is JSON at both */
  readonly exchange: 'json' | 'form';
  /** fields that every answer carries along for its client */
  readonly needsState: boolean;
  /** where the plan is asked for; `undefined`: the tokens tell */
  readonly profileUrl: string | undefined;
}

/** The three addresses of an authorization server. */
export interface OAuthServer {
  readonly authorizeUrl: string;
  readonly tokenUrl: string;
  readonly revokeUrl: string;
}

export const oauthClients: Readonly<Record<string, OAuthClient>> = {
  claude: {
    agent: 'claude',
    title: 'Claude Code',
    clientId: '9d1c250a-e61b-44d9-88ed-5944d1962f5e',
    server: {
      authorizeUrl: 'https://claude.com/cai/oauth/authorize',
      tokenUrl: 'https://platform.claude.com/v1/oauth/token',
      revokeUrl: 'https://platform.claude.com/v1/oauth/token/revoke',
    },
    // Its own login asks for org:create_api_key as well: with that a sandbox could make itself a key that stays.
    scopes: ['user:profile', 'user:inference', 'user:sessions:claude_code', 'user:mcp_servers', 'user:file_upload'],
    extra: { code: 'true' },
    manualRedirect: 'https://platform.claude.com/oauth/code/callback',
    loopback: { port: 0, path: '/callback' },
    exchange: 'json',
    needsState: true,
    profileUrl: 'https://api.anthropic.com/api/oauth/profile',
  },
  codex: {
    agent: 'codex',
    title: 'Codex',
    clientId: 'app_EMoamEEZ73f0CkXaXp7hrann',
    server: {
      authorizeUrl: 'https://auth.openai.com/oauth/authorize',
      tokenUrl: 'https://auth.openai.com/oauth/token',
      revokeUrl: 'https://auth.openai.com/oauth/revoke',
    },
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    extra: { id_token_add_organizations: 'true', codex_cli_simplified_flow: 'true' },
    manualRedirect: undefined,
    loopback: { port: 1455, path: '/auth/callback' },
    exchange: 'form',
    needsState: false,
    profileUrl: undefined,
  },
};

/** Names the agents that have a login. */
export const loginAgents: readonly string[] = Object.keys(oauthClients);

export function oauthClientOf(agent: string): OAuthClient | undefined {
  return Object.hasOwn(oauthClients, agent) ? oauthClients[agent] : undefined;
}
