import { CasemateError } from '../base/errors.ts';
import type { HttpAllowance } from '../policy/policy.ts';
import type { Agent, AgentApi, AgentHost, AgentLogin, AgentSetup, AgentStart } from './agent.ts';
import { claudePrint } from './claude-print.ts';

/**
 * Claude Code. Observed with version 2.1.329 on 2026-11-21 in a namespace with a stand-in for every host: it spoke to
 * api.anthropic.com:443 alone, HTTP/1.1; the requests are listed at `hosts`.
 */

/** Settings of its own inner sandbox, updater and inquiries; the sandbox it is in is ours. */
const quiet = {
  DISABLE_AUTOUPDATER: '1',
  DISABLE_UPDATES: '1',
  DISABLE_INSTALLATION_CHECKS: '1',
  DISABLE_BUG_COMMAND: '1',
  DISABLE_FEEDBACK_COMMAND: '1',
  CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY: '1',
  // Otherwise an interactive start clones a plug-in marketplace from github.com.
  CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: '1',
} as const;

const noTelemetry = {
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_TELEMETRY: '1',
  DISABLE_ERROR_REPORTING: '1',
  DO_NOT_TRACK: '1',
} as const;

function start({ permissions, prompt, args }: AgentStart): readonly string[] {
  if (permissions === 'ask') {
    refuseSkipping(args);
  }
  // The mode is always stated: a setting of the project or of the user's copied settings must not decide it.
  const mode = permissions === 'skip' ? ['--dangerously-skip-permissions'] : ['--permission-mode', 'default'];
  return prompt === undefined ? ['claude', ...mode, ...args] : ['claude', '-p', ...mode, ...args, '--', prompt];
}

/** What skips permissions is the policy's to say, and is recorded there. */
function refuseSkipping(args: readonly string[]): void {
  const skipping = args.find((arg) =>
    /^--(?:allow-)?dangerously-skip-permissions|^(?:--permission-mode=)?bypassPermissions$/.test(arg),
  );
  if (skipping !== undefined) {
    throw new CasemateError('USAGE', `the policy has the agent ask before it acts, so ${skipping} is refused`, {
      hint: 'Say it to casemate: --skip-permissions, or agent.permissions: skip in the policy.',
    });
  }
}

/** Answers to everything it asks at a first start, in the file where it keeps them. */
function onboarding({ permissions, phantom }: AgentSetup): string {
  // It asks whether to use a key from the environment unless the last 20 characters are approved here.
  const approved = phantom === undefined ? [] : [phantom.slice(-20)];
  const state = {
    numStartups: 1,
    hasCompletedOnboarding: true,
    lastOnboardingVersion: '2.1.329',
    theme: 'dark',
    autoUpdates: false,
    customApiKeyResponses: { approved, rejected: [] },
    ...(permissions === 'skip' ? { bypassPermissionsModeAccepted: true } : {}),
    projects: { '/workspace': { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } },
  };
  return `${JSON.stringify(state, undefined, 2)}\n`;
}

function modelEnv({ models }: AgentSetup): Readonly<Record<string, string>> {
  return {
    ...(models?.main === undefined ? {} : { ANTHROPIC_MODEL: models.main }),
    ...(models?.small === undefined ? {} : { ANTHROPIC_DEFAULT_HAIKU_MODEL: models.small }),
  };
}

/** Tells it which API to use. At Vertex it sends no key by itself: the gateway puts the token on the wire. */
function apiEnv({ provider, region = '', project = '' }: AgentSetup): Readonly<Record<string, string>> {
  switch (provider) {
    case 'bedrock':
      return { CLAUDE_CODE_USE_BEDROCK: '1', AWS_REGION: region, AWS_DEFAULT_REGION: region };
    case 'vertex':
      return {
        CLAUDE_CODE_USE_VERTEX: '1',
        CLAUDE_CODE_SKIP_VERTEX_AUTH: '1',
        CLOUD_ML_REGION: region,
        ANTHROPIC_VERTEX_PROJECT_ID: project,
      };
    default:
      return {};
  }
}

const bedrock: AgentApi = {
  provider: 'aws',
  needs: ['region'],
  hosts: [
    {
      host: 'bedrock-runtime.{region}.amazonaws.com',
      ports: [443],
      credential: true,
      telemetry: false,
      http: [
        { methods: ['POST'], path: '/model/*/invoke' },
        { methods: ['POST'], path: '/model/*/invoke-with-response-stream' },
        { methods: ['POST'], path: '/model/*/count-tokens' },
      ],
    },
    {
      host: 'bedrock.{region}.amazonaws.com',
      ports: [443],
      credential: true,
      telemetry: false,
      http: [
        { methods: ['GET'], path: '/inference-profiles' },
        { methods: ['GET'], path: '/inference-profiles/*' },
      ],
    },
  ],
};

const publisher = '/v1/projects/{project}/locations/{region}/publishers/anthropic/models';

const vertex: AgentApi = {
  provider: 'google',
  needs: ['region', 'project'],
  hosts: [
    {
      host: '{region}-aiplatform.googleapis.com',
      ports: [443],
      credential: true,
      telemetry: false,
      http: [
        { methods: ['POST'], path: `${publisher}/*:rawPredict` },
        { methods: ['POST'], path: `${publisher}/*:streamRawPredict` },
      ],
    },
  ],
};

/** As it keeps its own login where there is no keychain. It renews in there five minutes before `expiresAt`. */
function loginFile({ accessToken, refreshToken, expiresMs, scopes, plan }: AgentLogin): string {
  const claudeAiOauth = { accessToken, refreshToken, expiresAt: expiresMs, scopes, subscriptionType: plan ?? null };
  return `${JSON.stringify({ claudeAiOauth })}\n`;
}

const byKey: readonly AgentHost[] = [
  {
    host: 'api.anthropic.com',
    ports: [443],
    credential: true,
    telemetry: false,
    // Seen without nonessential traffic: HEAD /api/hello, GET settings and policy_limits, POST /v1/messages?beta=true.
    http: [
      { methods: ['POST'], path: '/v1/messages' },
      { methods: ['POST'], path: '/v1/messages/count_tokens' },
      { methods: ['GET'], path: '/v1/models' },
      { methods: ['GET'], path: '/v1/models/*' },
      { methods: ['GET', 'HEAD'], path: '/api/hello' },
      // What the organisation of the key imposes on its users: without these its rules would not hold inside.
      { methods: ['GET'], path: '/api/claude_code/settings' },
      { methods: ['GET'], path: '/api/claude_code/policy_limits' },
      // WebFetch asks here before it fetches; the fetch itself is judged by the sandbox's own rules.
      { methods: ['GET'], path: '/api/web/domain_info' },
    ],
  },
  {
    host: 'api.anthropic.com',
    ports: [443],
    credential: true,
    telemetry: true,
    // Seen with nonessential traffic: events, feature flags, start-up hints. The events are sent with the key.
    http: [
      { methods: ['POST'], path: '/api/event_logging/**' },
      { methods: ['POST'], path: '/api/eval/*' },
      { methods: ['POST'], path: '/api/claude_code/metrics' },
      { methods: ['GET'], path: '/api/claude_code/organizations/metrics_enabled' },
      { methods: ['GET'], path: '/api/claude_cli/bootstrap' },
      { methods: ['GET'], path: '/api/claude_code_penguin_mode' },
      { methods: ['GET'], path: '/api/directory/server-urls' },
    ],
  },
];

/** Not create_api_key: a key that a sandbox makes itself would stay when the sandbox is gone. */
const ofAccount: readonly HttpAllowance[] = [
  { methods: ['GET'], path: '/api/oauth/profile' },
  { methods: ['GET'], path: '/api/oauth/account/settings' },
  { methods: ['GET'], path: '/api/oauth/usage' },
  { methods: ['GET'], path: '/api/oauth/claude_cli/roles' },
  { methods: ['GET'], path: '/api/oauth/claude_cli/client_data' },
];

/** Seen with a login beside what is seen with a key: who the account is, what it has used, renewals of the tokens. */
const login: AgentApi = {
  provider: 'claude-login',
  needs: [],
  hosts: [
    ...byKey.map((host, index) => (index === 0 ? { ...host, http: [...(host.http ?? []), ...ofAccount] } : host)),
    {
      host: 'platform.claude.com',
      ports: [443],
      credential: true,
      telemetry: false,
      // Answered on the host: nothing that a sandbox sends there leaves it.
      http: [
        { methods: ['POST'], path: '/v1/oauth/token' },
        { methods: ['POST'], path: '/v1/oauth/token/revoke' },
      ],
    },
  ],
};

export const claude: Agent = {
  name: 'claude',
  title: 'Claude Code',
  program: '/usr/local/bin/claude',
  recipe: 'claude',
  start,
  print: claudePrint,
  env: (setup) => ({ ...quiet, ...(setup.telemetry ? {} : noTelemetry), ...apiEnv(setup), ...modelEnv(setup) }),
  homeFiles: (setup) => [
    { path: '.claude.json', content: onboarding(setup), mode: 0o600 },
    ...(setup.login === undefined ? [] : [{ path: '.claude/.credentials.json', content: loginFile(setup.login), mode: 0o600 }]),
  ],
  classification: {
    personal: [
      { path: '.claude/settings.json', kind: 'file', filter: 'settings' },
      { path: '.claude/CLAUDE.md', kind: 'file', filter: 'none' },
      { path: '.claude/rules', kind: 'folder', filter: 'none' },
      { path: '.claude/commands', kind: 'folder', filter: 'none' },
      { path: '.claude/agents', kind: 'folder', filter: 'none' },
      { path: '.claude/skills', kind: 'folder', filter: 'none' },
    ],
    team: [
      { path: '.claude/settings.json', kind: 'file', filter: 'settings' },
      { path: '.claude/commands', kind: 'folder', filter: 'none' },
    ],
    service: [
      { path: '.claude/settings.json', kind: 'file', filter: 'settings' },
      { path: '.claude/CLAUDE.md', kind: 'file', filter: 'none' },
      { path: '.claude/commands', kind: 'folder', filter: 'none' },
    ],
    maximum: [],
  },
  provider: 'anthropic',
  apis: { bedrock, vertex, login },
  hosts: byKey,
};
