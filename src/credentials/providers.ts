import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { CredentialRule } from '../policy/policy.ts';
import type { Injection } from './credential.ts';
import type { PlaceName } from './placements.ts';

/** Which providers take which credential in which place, as data. A new provider is a new row. */

export interface Provider {
  readonly title: string;
  /** where the value goes; `undefined`: the rule says */
  readonly inject: Injection | undefined;
  /** other places at some hosts, exact names or `*.` and all below: the first that fits */
  readonly injectAt?: readonly { readonly hosts: readonly string[]; readonly inject: Injection }[] | undefined;
  /** request headers, lower case, by which a caller could act as somebody else here: the gateway owns the identity */
  readonly identityHeaders: readonly string[];
  /** names of the query under which it takes a key; absent: all that are usual anywhere */
  readonly keyParameters?: readonly string[] | undefined;
  readonly phantom: PhantomShape;
  /** further phantoms, where a credential is more than one text */
  readonly parts?: Readonly<Record<string, PhantomShape>> | undefined;
  /** variables of the sandbox in which tools look for the key; the policy may name another one where there is none */
  readonly variables: readonly PhantomVariable[];
  /** files of the sandbox's home in which tools look for the key */
  readonly places: readonly PlaceName[];
  /** agent whose login on this host does instead */
  readonly login?: string | undefined;
}

export interface PhantomVariable {
  readonly name: string;
  /** absent: the first phantom */
  readonly part?: string | undefined;
}

/** A credential as policy or plan names it. */
export type CredentialSpec = Omit<CredentialRule, 'origin'>;

/** Outer form of a key, so that what checks the form before use accepts the phantom. */
export interface PhantomShape {
  readonly prefix: string;
  /** number of derived letters after the mark */
  readonly letters: number;
  readonly suffix: string;
  /** absent: `cmph_` */
  readonly mark?: string | undefined;
  /** absent: letters and digits */
  readonly alphabet?: string | undefined;
}

const everywhere = ['authorization', 'proxy-authorization', 'cookie', 'x-api-key', 'api-key'] as const;
const bearer = { kind: 'header', header: 'authorization', format: 'Bearer {}' } as const;
const plain = { prefix: '', letters: 43, suffix: '' } as const;
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export const providers = {
  anthropic: {
    title: 'Anthropic API',
    inject: { kind: 'header', header: 'x-api-key', format: '{}' },
    identityHeaders: everywhere,
    // 108 characters as real ones have: sk-ant-api03-, 93 of [A-Za-z0-9_-], AA.
    phantom: { prefix: 'sk-ant-api03-', letters: 88, suffix: 'AA' },
    variables: [{ name: 'ANTHROPIC_API_KEY' }],
    places: [],
    login: 'claude',
  },
  openai: {
    title: 'OpenAI API',
    inject: bearer,
    // WebSocket handshakes of browsers carry the key as a subprotocol, `openai-insecure-api-key.<key>`.
    identityHeaders: [...everywhere, 'sec-websocket-protocol'],
    // 164 characters as real ones have: sk-proj-, 74 of [A-Za-z0-9_-], T3BlbkFJ, 74 more.
    phantom: { prefix: 'sk-proj-', letters: 69, suffix: `T3BlbkFJ${'0'.repeat(74)}` },
    variables: [{ name: 'OPENAI_API_KEY' }],
    places: [],
    login: 'codex',
  },
  'claude-login': {
    title: 'Claude subscription, by the login that is kept on the host',
    inject: bearer,
    identityHeaders: everywhere,
    phantom: { prefix: 'sk-ant-oat01-', letters: 88, suffix: 'AA' },
    variables: [],
    places: [],
  },
  'codex-login': {
    title: 'ChatGPT subscription, by the login that is kept on the host',
    inject: bearer,
    identityHeaders: [...everywhere, 'sec-websocket-protocol'],
    phantom: plain,
    variables: [],
    places: [],
  },
  github: {
    title: 'GitHub: API, git over HTTPS, packages',
    inject: bearer,
    injectAt: [
      { hosts: ['github.com', 'gist.github.com'], inject: { kind: 'basic', user: 'x-access-token' } },
      // Its registry of containers takes the token itself in the place of one of its own, in base64.
      { hosts: ['ghcr.io'], inject: { ...bearer, isBase64: true } },
    ],
    identityHeaders: [...everywhere, 'private-token'],
    // Not `key`: caches of actions are looked for by it.
    keyParameters: ['access_token', 'token', 'client_secret'],
    phantom: { prefix: 'ghp_', mark: 'cmph', letters: 32, suffix: '' },
    variables: [{ name: 'GH_TOKEN' }, { name: 'GITHUB_TOKEN' }],
    places: ['git', 'gh', 'npmrc'],
  },
  npm: {
    title: 'npm registry',
    inject: bearer,
    identityHeaders: everywhere,
    phantom: { prefix: 'npm_', mark: 'cmph', letters: 32, suffix: '' },
    variables: [{ name: 'NPM_TOKEN' }],
    places: ['npmrc'],
  },
  pypi: {
    title: 'Python package index',
    inject: { kind: 'basic', user: '__token__' },
    identityHeaders: everywhere,
    phantom: { prefix: 'pypi-AgEIcHlwaS5vcmc', letters: 150, suffix: '' },
    variables: [{ name: 'PYPI_TOKEN' }, { name: 'TWINE_PASSWORD' }, { name: 'UV_PUBLISH_TOKEN' }],
    places: ['netrc', 'pypirc'],
  },
  aws: {
    title: 'AWS: every request is signed anew',
    inject: { kind: 'sigv4' },
    identityHeaders: [...everywhere, 'x-amz-security-token', 'x-amz-s3session-token'],
    // `key` and `token` are names of objects and pages here; addresses that are signed are known anywhere.
    keyParameters: [],
    phantom: { prefix: 'ASIA', mark: 'CMPH', letters: 12, suffix: '', alphabet: base32 },
    parts: {
      secret: { prefix: '', mark: 'cmph/', letters: 35, suffix: '' },
      token: { prefix: 'IQoJb3JpZ2luX2Vj', mark: 'cmph/', letters: 320, suffix: '' },
    },
    variables: [
      { name: 'AWS_ACCESS_KEY_ID' },
      { name: 'AWS_SECRET_ACCESS_KEY', part: 'secret' },
      { name: 'AWS_SESSION_TOKEN', part: 'token' },
    ],
    places: [],
  },
  google: {
    title: 'Google: Gemini by key, Vertex and the rest by bearer token',
    inject: bearer,
    injectAt: [
      { hosts: ['generativelanguage.googleapis.com'], inject: { kind: 'header', header: 'x-goog-api-key', format: '{}' } },
    ],
    identityHeaders: [...everywhere, 'x-goog-api-key', 'x-goog-iam-authorization-token'],
    phantom: { prefix: 'AIza', letters: 30, suffix: '' },
    variables: [{ name: 'GEMINI_API_KEY' }, { name: 'GOOGLE_API_KEY' }],
    places: [],
  },
  azure: {
    title: 'Azure OpenAI and AI Foundry by key',
    inject: { kind: 'header', header: 'api-key', format: '{}' },
    identityHeaders: [...everywhere, 'ocp-apim-subscription-key'],
    phantom: { prefix: '', letters: 79, suffix: '' },
    variables: [{ name: 'AZURE_OPENAI_API_KEY' }],
    places: [],
  },
  header: {
    title: 'any host, header given by the policy',
    inject: undefined,
    identityHeaders: everywhere,
    phantom: plain,
    variables: [],
    places: [],
  },
  bearer: {
    title: 'any host, Authorization: Bearer',
    inject: bearer,
    identityHeaders: everywhere,
    phantom: plain,
    variables: [],
    places: [],
  },
  basic: {
    title: 'any host, Authorization: Basic with the value as the password',
    inject: undefined,
    identityHeaders: everywhere,
    phantom: plain,
    variables: [],
    places: ['netrc'],
  },
  query: {
    title: 'any host, one parameter of the query',
    inject: undefined,
    identityHeaders: everywhere,
    phantom: plain,
    variables: [],
    places: [],
  },
  body: {
    title: 'any host, one field of a JSON object or a form',
    inject: undefined,
    identityHeaders: everywhere,
    phantom: plain,
    variables: [],
    places: [],
  },
} as const satisfies Readonly<Record<string, Provider>>;

export type ProviderName = keyof typeof providers;

export function isProviderName(name: string): name is ProviderName {
  return Object.hasOwn(providers, name);
}

/** Throws `POLICY_INVALID` for a name that is not in the table. */
export function providerOf(rule: CredentialSpec): Provider {
  if (!isProviderName(rule.provider)) {
    throw new CasemateError(
      'POLICY_INVALID',
      `credential "${visible(rule.name)}" names the unknown provider "${visible(rule.provider)}"`,
      {
        hint: `Known are ${Object.keys(providers).join(', ')}.`,
      },
    );
  }
  return providers[rule.provider];
}

/** The variables in which the sandbox finds the phantoms of a credential. */
export function phantomVariables(rule: CredentialSpec): readonly PhantomVariable[] {
  const { variables } = providerOf(rule);
  return variables.length === 0 && rule.variable !== undefined ? [{ name: rule.variable }] : variables;
}
