import { CasemateError } from '../base/errors.ts';
import type { Agent, AgentApi, AgentLogin, AgentSetup, AgentStart } from './agent.ts';
import { codexPrint } from './codex-print.ts';

/**
 * Codex. Observed with version 0.169.0 on 2026-11-21 in a namespace with a stand-in for every host; the requests are
 * listed at `hosts`. It trusts `SSL_CERT_FILE` and `CODEX_CA_CERTIFICATE`, not `NODE_EXTRA_CA_CERTS`.
 */

/**
 * This version asks only where its own sandbox stands in the way: with `danger-full-access` it never would, and
 * `untrusted` is gone. So its read-only sandbox stays on here, and what it cannot do there a person is asked for.
 */
const ask = { approval: 'on-request', sandbox: 'read-only' } as const;

function start({ permissions, prompt, args }: AgentStart): readonly string[] {
  if (permissions === 'ask') {
    refuseSkipping(args);
  }
  const mode =
    permissions === 'skip'
      ? ['--dangerously-bypass-approvals-and-sandbox']
      : ['-c', `approval_policy="${ask.approval}"`, '-c', `sandbox_mode="${ask.sandbox}"`];
  return prompt === undefined
    ? ['codex', ...mode, ...args]
    : ['codex', 'exec', ...mode, '--skip-git-repo-check', ...args, '--', prompt];
}

/** What skips approvals is the policy's to say, and is recorded there. */
function refuseSkipping(args: readonly string[]): void {
  const skipping = args.find((arg) =>
    /^--(?:dangerously-bypass|yolo|full-auto|approve-for-me|ask-for-approval|sandbox)|^-[as]|approval_policy|sandbox_mode/.test(
      arg,
    ),
  );
  if (skipping !== undefined) {
    throw new CasemateError(
      'USAGE',
      `the policy has the agent ask before it acts, so ${skipping.split('=')[0] ?? ''} is refused`,
      {
        hint: 'Say it to casemate: --skip-permissions, or agent.permissions: skip in the policy.',
      },
    );
  }
}

/** A basic string of TOML is one of JSON, but for one character. */
const text = (value: string): string => JSON.stringify(value).replaceAll('\u007f', String.raw`\u007F`);
const table = (values: Readonly<Record<string, string>>): string =>
  `{ ${Object.entries(values)
    .map(([name, value]) => `${text(name)} = ${text(value)}`)
    .join(', ')} }`;

/** A server may be made ready at its first start, which its own ten seconds are too short for. */
function serverTables(servers: AgentSetup['servers'] = {}): string {
  return Object.entries(servers)
    .map(([name, server]) => {
      const lines =
        'url' in server
          ? [`url = ${text(server.url)}`, `http_headers = ${table(server.headers)}`]
          : [`command = ${text(server.command)}`, `args = [${server.args.map(text).join(', ')}]`, `env = ${table(server.env)}`];
      return `\n[mcp_servers.${text(name)}]\n${[...lines, 'startup_timeout_sec = 60'].join('\n')}\n`;
    })
    .join('');
}

function config({ permissions, telemetry, provider, servers }: AgentSetup): string {
  const mode = permissions === 'skip' ? { approval: 'never', sandbox: 'danger-full-access' } : ask;
  return `check_for_update_on_startup = false
sandbox_mode = "${mode.sandbox}"
approval_policy = "${mode.approval}"
forced_login_method = "${provider === 'login' ? 'chatgpt' : 'api'}"
cli_auth_credentials_store = "file"

[analytics]
enabled = ${String(telemetry)}

[feedback]
enabled = ${String(telemetry)}
${telemetry ? '' : '\n[otel]\nexporter = "none"\ntrace_exporter = "none"\nmetrics_exporter = "none"\n'}
[notice]
hide_full_access_warning = true

# Both fetch lists from github.com and chatgpt.com at each start.
[features]
plugins = false
apps = false

[projects."/workspace"]
trust_level = "trusted"
${serverTables(servers)}`;
}

/** As it keeps its own login. It reads plan and account out of the id token, and renews by the age of `last_refresh`. */
function loginFile({ accessToken, refreshToken, idToken, accountId, nowMs }: AgentLogin): string {
  const tokens = { id_token: idToken, access_token: accessToken, refresh_token: refreshToken, account_id: accountId ?? null };
  const lastRefresh = new Date(nowMs).toISOString();
  return `${JSON.stringify({ auth_mode: 'chatgpt', OPENAI_API_KEY: null, tokens, last_refresh: lastRefresh })}\n`;
}

const login: AgentApi = {
  provider: 'codex-login',
  needs: [],
  hosts: [
    {
      host: 'chatgpt.com',
      ports: [443],
      credential: true,
      telemetry: false,
      http: [
        { methods: ['POST', 'GET'], path: '/backend-api/codex/responses' },
        { methods: ['POST'], path: '/backend-api/codex/responses/compact' },
        { methods: ['GET'], path: '/backend-api/codex/models' },
        { methods: ['GET'], path: '/backend-api/wham/usage' },
        // Which of the account's workspaces it works for: without the answer it does not begin.
        { methods: ['GET'], path: '/backend-api/wham/accounts/check' },
        { methods: ['GET'], path: '/backend-api/wham/settings/user' },
      ],
    },
    {
      host: 'auth.openai.com',
      ports: [443],
      credential: true,
      telemetry: false,
      // Answered on the host: nothing that a sandbox sends there leaves it.
      http: [
        { methods: ['POST'], path: '/oauth/token' },
        { methods: ['POST'], path: '/oauth/revoke' },
        { methods: ['POST'], path: '/api/accounts/deviceauth/*' },
      ],
    },
  ],
};

export const codex: Agent = {
  name: 'codex',
  title: 'Codex',
  program: '/usr/local/bin/codex',
  recipe: 'codex',
  start,
  print: codexPrint,
  env: () => ({}),
  serversInHome: true,
  homeFiles: (setup) => [
    { path: '.codex/config.toml', content: config(setup), mode: 0o600 },
    // Without this an interactive start asks for a login even when OPENAI_API_KEY is set.
    ...(setup.login === undefined ? [] : [{ path: '.codex/auth.json', content: loginFile(setup.login), mode: 0o600 }]),
    ...(setup.phantom === undefined || setup.provider === 'login'
      ? []
      : [
          {
            path: '.codex/auth.json',
            content: `${JSON.stringify({ auth_mode: 'apikey', OPENAI_API_KEY: setup.phantom })}\n`,
            mode: 0o600,
          },
        ]),
  ],
  // Not its config.toml: that one names programs, providers and servers of the host; ours is written instead.
  classification: {
    personal: [
      { path: '.codex/AGENTS.md', kind: 'file', filter: 'none' },
      { path: '.codex/prompts', kind: 'folder', filter: 'none' },
      { path: '.codex/skills', kind: 'folder', filter: 'none' },
    ],
    team: [{ path: '.codex/prompts', kind: 'folder', filter: 'none' }],
    service: [
      { path: '.codex/AGENTS.md', kind: 'file', filter: 'none' },
      { path: '.codex/prompts', kind: 'folder', filter: 'none' },
    ],
    maximum: [],
  },
  provider: 'openai',
  apis: { login },
  hosts: [
    {
      host: 'api.openai.com',
      ports: [443],
      credential: true,
      telemetry: false,
      // Seen: WebSocket handshakes to /v1/responses, then POST there. It also sends the key to chatgpt.com (a list of
      // models) and fetches a tip of the day from raw.githubusercontent.com; it works without, so neither is here.
      http: [
        { methods: ['POST', 'GET'], path: '/v1/responses' },
        { methods: ['POST'], path: '/v1/responses/compact' },
        { methods: ['GET'], path: '/v1/models' },
      ],
    },
    {
      host: 'ab.chatgpt.com',
      ports: [443],
      credential: false,
      telemetry: true,
      http: [{ methods: ['POST'], path: '/otlp/v1/*' }],
    },
  ],
};
