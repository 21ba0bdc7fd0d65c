import type { BoundCredential } from './credential.ts';
import { liveValue, type LiveValue, type LiveValueOptions } from './live-value.ts';
import { makePhantom, type PhantomOwner } from './phantom.ts';
import { injectionOf, providerOf, type CredentialSpec } from './providers.ts';

/** Ties a credential of the policy to one sandbox: its phantom, its place on the wire, its value held in memory. */

export interface Binding extends BoundCredential, LiveValue {
  readonly onRejected: LiveValue['onRejected'];
}

export type BindOptions = Pick<PhantomOwner, 'sandboxId' | 'installationKey'> & LiveValueOptions;

/** Reads the source once. Throws `CREDENTIAL_UNAVAILABLE`, or `POLICY_INVALID` for a rule no provider can carry out. */
export async function bindCredential(rule: CredentialSpec, options: BindOptions): Promise<Binding> {
  const binding = bindWithoutValue(rule, options);
  await binding.refresh();
  return binding;
}

/** What is known without the source: `obtain()` throws until `refresh()` has read it. */
export function bindWithoutValue(rule: CredentialSpec, options: BindOptions): Binding {
  const provider = providerOf(rule);
  const inject = injectionOf(rule);
  const { sandboxId, installationKey } = options;
  const phantom = makePhantom(provider.phantom, { sandboxId, installationKey, credentialName: rule.name });
  return {
    name: rule.name,
    provider: rule.provider,
    phantom,
    phantoms: () => [phantom],
    identityHeaders: [...new Set([inject.header, ...provider.identityHeaders])],
    inject: { kind: 'header', ...inject },
    ...liveValue(rule, options),
  };
}
