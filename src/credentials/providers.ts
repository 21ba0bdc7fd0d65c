import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { CredentialRule, CredentialSource } from '../policy/policy.ts';

/** Who takes which credential in which header, as data. A new provider is a new row. */

export interface Provider {
  readonly title: string;
  /** header to set, lower case, and its form; `undefined`: the rule says */
  readonly inject: { readonly header: string; readonly format: string } | undefined;
  /** request headers, lower case, by which a caller could act as somebody else here: the gateway owns the identity */
  readonly identityHeaders: readonly string[];
  readonly phantom: PhantomShape;
  /** variable of the sandbox in which tools look for the key; `undefined`: the rule says */
  readonly variable: string | undefined;
  /** where the key is looked for when the policy names no source */
  readonly source: CredentialSource | undefined;
  readonly hosts: readonly string[];
}

/** A credential as policy or plan names it. */
export type CredentialSpec = Omit<CredentialRule, 'origin'>;

/** Outer form of a key, so that what checks the form before use accepts the phantom. */
export interface PhantomShape {
  readonly prefix: string;
  /** number of derived letters after the mark */
  readonly letters: number;
  readonly suffix: string;
}

const everywhere = ['authorization', 'proxy-authorization', 'cookie', 'x-api-key', 'api-key'] as const;

export const providers = {
  anthropic: {
    title: 'Anthropic API',
    inject: { header: 'x-api-key', format: '{}' },
    identityHeaders: everywhere,
    // 108 characters as real ones have: sk-ant-api03-, 93 of [A-Za-z0-9_-], AA.
    phantom: { prefix: 'sk-ant-api03-', letters: 88, suffix: 'AA' },
    variable: 'ANTHROPIC_API_KEY',
    source: { kind: 'env', name: 'ANTHROPIC_API_KEY' },
    hosts: ['api.anthropic.com'],
  },
  openai: {
    title: 'OpenAI API',
    inject: { header: 'authorization', format: 'Bearer {}' },
    // WebSocket handshakes of browsers carry the key as a subprotocol, `openai-insecure-api-key.<key>`.
    identityHeaders: [...everywhere, 'sec-websocket-protocol'],
    // 164 characters as real ones have: sk-proj-, 74 of [A-Za-z0-9_-], T3BlbkFJ, 74 more.
    phantom: { prefix: 'sk-proj-', letters: 69, suffix: `T3BlbkFJ${'0'.repeat(74)}` },
    variable: 'OPENAI_API_KEY',
    source: { kind: 'env', name: 'OPENAI_API_KEY' },
    hosts: ['api.openai.com'],
  },
  header: {
    title: 'any host, header given by the policy',
    inject: undefined,
    identityHeaders: everywhere,
    phantom: { prefix: '', letters: 43, suffix: '' },
    variable: undefined,
    source: undefined,
    hosts: [],
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

/** The variable in which the sandbox finds the phantom of a credential, if there is one. */
export function phantomVariable(rule: CredentialSpec): string | undefined {
  return providerOf(rule).variable ?? rule.variable;
}

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
/** Headers that frame a message or name its target: a credential there would change where a request goes (RFC 9110, 7.6.1). */
const framing = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'keep-alive',
]);

/** Where the value of a rule goes. Throws `POLICY_INVALID` for a header that is missing, malformed or frames the message. */
export function injectionOf(rule: CredentialSpec): { readonly header: string; readonly format: string } {
  const { inject } = providerOf(rule);
  if (inject !== undefined) {
    return inject;
  }
  if (rule.header === undefined) {
    throw unfit(rule, 'needs a header');
  }
  const header = rule.header.name.toLowerCase();
  const { format } = rule.header;
  if (!headerName.test(header) || framing.has(header)) {
    throw unfit(rule, `cannot go in the header "${visible(header)}"`);
  }
  if (format.split('{}').length !== 2 || !/^[\u0020-\u007e]+$/.test(format)) {
    throw unfit(rule, 'needs a format of printable ASCII with exactly one {} for the value');
  }
  return { header, format };
}

function unfit(rule: CredentialSpec, why: string): CasemateError {
  return new CasemateError('POLICY_INVALID', `credential "${visible(rule.name)}" ${why}`, {
    hint: 'Example: header: { name: private-token, format: "{}" }',
  });
}
