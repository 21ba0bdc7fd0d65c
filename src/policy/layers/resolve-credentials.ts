import { nearest, visible } from '../../base/text.ts';
import type { Facts } from '../facts.ts';
import { covers, formatHostPattern } from '../matching/host-pattern.ts';
import { providerHosts } from './provider-hosts.ts';
import { faultAt, originOf, type PolicyLayer } from '../written/policy-layer.ts';
import type { CredentialRule, CredentialSource, HostPattern, NetworkRule } from '../policy.ts';
import { policyProviders, type PolicyProvider } from '../providers.ts';
import { byDefault, type PolicyLayers } from './resolve-scalars.ts';
import type { WrittenCredential } from '../written/schema.ts';
import { readWrittenSource } from '../written/source-schema.ts';
import { widens } from './widening.ts';

/** Resolves credentials by name: the built-in ones, and those that an organisation or a user defines. */
export interface KnownCredential {
  readonly rule: CredentialRule;
  /** the only hosts it may be bound to; `undefined`: any that a trusted layer binds it to */
  readonly hosts: readonly HostPattern[] | undefined;
}

export type KnownCredentials = ReadonlyMap<string, KnownCredential>;

/** Throws `POLICY_WIDENS` where a user changes what the organisation has defined. */
export function resolveCredentials({ organisation, user }: PolicyLayers, facts: Facts): KnownCredentials {
  const known = new Map<string, KnownCredential>(
    Object.entries(policyProviders).map(([name, provider]) => [name, builtIn(name, provider)]),
  );
  for (const layer of [organisation, user]) {
    for (const [name, written] of Object.entries(layer?.written.credentials ?? {})) {
      if (layer !== undefined) {
        define(known, readCredential(name, written, { layer, facts }));
      }
    }
  }
  return known;
}

function builtIn(name: string, provider: PolicyProvider): KnownCredential {
  const sources: readonly CredentialSource[] = [...provider.sources, { kind: 'stored', name }];
  const source: CredentialSource =
    provider.login === undefined ? { kind: 'first', sources } : { kind: 'login', agent: provider.login };
  return { rule: { name, provider: name, source, header: undefined, variable: undefined, origin: byDefault }, hosts: undefined };
}

function define(known: Map<string, KnownCredential>, credential: KnownCredential): void {
  const { name, origin } = credential.rule;
  const before = known.get(name);
  if (before?.rule.origin.layer === 'organisation' && !isSame(before, credential)) {
    throw widens(origin, before.rule.origin, `the credential "${name}" differs from the one that`);
  }
  known.set(name, before?.rule.origin.layer === 'organisation' ? before : credential);
}

function isSame(a: KnownCredential, b: KnownCredential): boolean {
  const plain = ({ rule, hosts }: KnownCredential): string =>
    JSON.stringify([rule.provider, rule.source, rule.header, rule.basic, rule.query, rule.body, rule.variable, hosts]);
  return plain(a) === plain(b);
}

interface Place {
  readonly layer: PolicyLayer;
  readonly facts: Facts;
}

function readCredential(name: string, written: WrittenCredential, { layer, facts }: Place): KnownCredential {
  const { provider, header, basic, query, body, variable, hosts } = written;
  const source = readWrittenSource(written.source, layer.folder, facts.home);
  const origin = originOf(layer, ['credentials', name]);
  return { rule: { name, provider, source, header, basic, query, body, variable, origin }, hosts };
}

/** What a policy needs so that its rules can name a sealed value. */
export function sealedDefinition(name: string, provider: string): string {
  return `credentials: { ${name}: { provider: ${provider}, source: { stored: ${name} } } }`;
}

function unknownHint(name: string, known: KnownCredentials, { stored }: Facts): string {
  if (stored.includes(name)) {
    return `A value of this name is sealed. Say in your own policy how it goes on the wire, e.g. ${sealedDefinition(name, 'bearer')}`;
  }
  const near = nearest(name, known.keys());
  return near === undefined ? 'Define it under "credentials" in your own policy file.' : `Did you mean "${near}"?`;
}

/**
 * Throws when a rule names a credential that does not exist, or binds one to a host it may not go to. A project may
 * bind the key of a known API to that API only, unless `trusted` rules (of the layers above it) bind it so themselves.
 */
export function checkBinding(
  rule: NetworkRule,
  known: KnownCredentials,
  options: { readonly facts: Facts; readonly trusted: readonly NetworkRule[] },
): void {
  if (rule.credential === undefined) {
    return;
  }
  const credential = known.get(rule.credential);
  if (credential === undefined) {
    throw faultAt('POLICY_INVALID', rule.origin, `there is no credential "${visible(rule.credential)}"`, {
      hint: unknownHint(rule.credential, known, options.facts),
    });
  }
  const host = formatHostPattern(rule.host);
  if (credential.hosts?.every((pattern) => !covers(pattern, rule.host)) === true) {
    const code = rule.origin.layer === 'project' ? 'POLICY_WIDENS' : 'POLICY_INVALID';
    throw code === 'POLICY_WIDENS'
      ? widens(
          rule.origin,
          credential.rule.origin,
          `the credential "${rule.credential}" is bound to ${host}, which is not one of the hosts that`,
        )
      : faultAt(code, rule.origin, `the credential "${rule.credential}" is bound to ${host}, which is not one of its hosts`);
  }
  const provider = policyProviders[credential.rule.provider];
  if (rule.origin.layer !== 'project' || provider === undefined || isTrusted(rule, options.trusted)) {
    return;
  }
  if (!providerHosts(credential.rule.provider, options.facts).some((pattern) => covers(pattern, rule.host))) {
    throw faultAt('POLICY_INVALID', rule.origin, `a project file must not send the credential "${rule.credential}" to ${host}`, {
      hint: hostsHint(provider),
    });
  }
}

function hostsHint({ hosts }: PolicyProvider): string {
  const own = hosts.length === 0 ? "this machine's own package sources" : hosts.join(', ');
  return `It may go to ${own}; another host must stand in your own policy file.`;
}

function isTrusted(rule: NetworkRule, trusted: readonly NetworkRule[]): boolean {
  return trusted.some((other) => other.credential === rule.credential && covers(other.host, rule.host));
}
