import { CasemateError } from '../base/errors.ts';
import type { Agent, AgentSetup, AgentStart } from './agent.ts';

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

function config({ permissions, telemetry }: AgentSetup): string {
  const mode = permissions === 'skip' ? { approval: 'never', sandbox: 'danger-full-access' } : ask;
  return `check_for_update_on_startup = false
sandbox_mode = "${mode.sandbox}"
approval_policy = "${mode.approval}"
forced_login_method = "api"
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
`;
}

export const codex: Agent = {
  name: 'codex',
  title: 'Codex',
  program: '/usr/local/bin/codex',
  recipe: 'codex',
  start,
  env: () => ({}),
  homeFiles: (setup) => [
    { path: '.codex/config.toml', content: config(setup), mode: 0o600 },
    // Without this an interactive start asks for a login even when OPENAI_API_KEY is set.
    ...(setup.phantom === undefined
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
