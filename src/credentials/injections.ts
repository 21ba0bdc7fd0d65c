import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { Injection } from './credential.ts';
import { providerOf, type CredentialSpec } from './providers.ts';

/** Where on the wire the value for a rule goes: as the provider says, or as the rule does. */

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

/** Throws `POLICY_INVALID` for a place that is missing, malformed or frames the message. */
export function injectionOf(rule: CredentialSpec): Injection {
  const { inject } = providerOf(rule);
  if (inject !== undefined) {
    return inject;
  }
  switch (rule.provider) {
    case 'basic':
      return basicOf(rule);
    case 'query':
      return { kind: 'query', parameter: nameOf(rule, rule.query?.parameter, 'query: { parameter: api_key }') };
    case 'body':
      return { kind: 'body', field: nameOf(rule, rule.body?.field, 'body: { field: api_key }') };
    default:
      return headerOf(rule);
  }
}

/** The same at one host; a provider may take its key in several ways. */
export function injectionsOf(rule: CredentialSpec): (host: string) => Injection {
  const { injectAt = [] } = providerOf(rule);
  const usual = injectionOf(rule);
  return (host) => injectAt.find(({ hosts }) => hosts.some((pattern) => fits(pattern, host)))?.inject ?? usual;
}

function fits(pattern: string, host: string): boolean {
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern;
}

function basicOf(rule: CredentialSpec): Injection {
  const user = rule.basic?.user ?? '';
  if (!/^[\u0020-\u0039\u003b-\u007e]*$/.test(user)) {
    throw unfit(rule, 'needs a user of printable ASCII without a colon', 'basic: { user: deploy }');
  }
  return { kind: 'basic', user };
}

function nameOf(rule: CredentialSpec, name: string | undefined, example: string): string {
  if (name === undefined || !/^[\u0021-\u007e]{1,128}$/.test(name)) {
    throw unfit(rule, 'needs the name of the place it goes to', example);
  }
  return name;
}

function headerOf(rule: CredentialSpec): Injection {
  const example = 'header: { name: private-token, format: "{}" }';
  if (rule.header === undefined) {
    throw unfit(rule, 'needs a header', example);
  }
  const header = rule.header.name.toLowerCase();
  const { format } = rule.header;
  if (!headerName.test(header) || framing.has(header)) {
    throw unfit(rule, `cannot go in the header "${visible(header)}"`, example);
  }
  if (format.split('{}').length !== 2 || !/^[\u0020-\u007e]+$/.test(format)) {
    throw unfit(rule, 'needs a format of printable ASCII with exactly one {} for the value', example);
  }
  return { kind: 'header', header, format };
}

function unfit(rule: CredentialSpec, why: string, example: string): CasemateError {
  return new CasemateError('POLICY_INVALID', `credential "${visible(rule.name)}" ${why}`, { hint: `Example: ${example}` });
}
