import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import { sealedNames } from '../../credentials/sealed/sealed-store.ts';
import type { Facts, RegistryKind } from '../../policy/facts.ts';
import { providerHosts } from '../../policy/layers/provider-hosts.ts';
import { formatHostPattern } from '../../policy/matching/host-pattern.ts';
import type { KnownCredential, KnownCredentials } from '../../policy/layers/resolve-credentials.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import type { SandboxContext } from '../context.ts';
import { readFacts } from '../host/facts.ts';
import { loadCredentials } from '../policy-files/load-policy.ts';

/** The credentials that a policy may name here: built in, defined by organisation or user, or sealed. */
export interface CredentialWorld {
  readonly known: KnownCredentials;
  readonly sealed: readonly string[];
  readonly facts: Facts;
}

/**
 * `registries`: package sources of this machine to ask for, which takes as long as starting npm or pip; the hosts of other
 * ones are then not known.
 */
export async function credentialWorld(
  { agents, env, paths, userHome }: SandboxContext,
  { cwd, registries = [] }: { readonly cwd: string; readonly registries?: readonly RegistryKind[] },
): Promise<CredentialWorld> {
  const sealed = await sealedNames(paths.state, 'credential');
  const facts = await readFacts({ agents: await agents(), env, home: userHome, registries, stored: sealed });
  const known = await loadCredentials({ paths, cwd, facts: async () => facts });
  return { known, sealed, facts };
}

/** Hosts at which rules of the policy send it, as patterns. */
export function hostsByRules(name: string, rules: readonly NetworkRule[]): readonly string[] {
  return [...new Set(rules.filter(({ credential }) => credential === name).map(({ host }) => formatHostPattern(host)))];
}

/** Hosts a credential may go to by what is known of it, as patterns; empty: wherever a policy binds it. */
export function hostsOf({ rule, hosts }: KnownCredential, facts: Facts): readonly string[] {
  return [...new Set((hosts ?? providerHosts(rule.provider, facts)).map(formatHostPattern))];
}

/** Throws `USAGE` for a name that nothing here has. */
export function requireKnown(name: string, { known, sealed }: CredentialWorld): void {
  if (known.has(name) || sealed.includes(name)) {
    return;
  }
  const near = nearest(name, [...known.keys(), ...sealed]);
  throw new CasemateError('USAGE', `there is no credential "${visible(name)}"`, {
    hint: near === undefined ? 'See: casemate credentials ls' : `Did you mean "${near}"?`,
  });
}
