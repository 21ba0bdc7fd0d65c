import type { BoundCredential, Injection } from './credential.ts';
import { liveValue, type LiveValue, type LiveValueOptions } from './live-value.ts';
import { awsKeysOf } from './aws-keys.ts';
import { injectionOf, injectionsOf } from './injections.ts';
import { makePhantom, type PhantomOwner } from './phantom.ts';
import { providerOf, type CredentialSpec } from './providers.ts';

/** Ties a credential of the policy to one sandbox: its phantom, its place on the wire, its value held in memory. */

export interface Binding extends BoundCredential, LiveValue {
  readonly onRejected: LiveValue['onRejected'];
  readonly epoch: LiveValue['epoch'];
  /** phantom of a part, such as `secret` */
  readonly phantomPart: (part: string | undefined) => string | undefined;
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
  const owner = { sandboxId, installationKey, credentialName: rule.name };
  const phantom = makePhantom(provider.phantom, owner);
  const parts = new Map(
    Object.entries(provider.parts ?? {}).map(([part, shape]) => [part, makePhantom(shape, { ...owner, part })]),
  );
  const live = liveValue(rule, options);
  return {
    ...live,
    name: rule.name,
    provider: rule.provider,
    phantom,
    phantoms: () => [phantom, ...parts.values()],
    phantomPart: (part) => (part === undefined ? phantom : parts.get(part)),
    identityHeaders: [...new Set([...headerOf(inject), ...provider.identityHeaders])],
    inject,
    injectAt: injectionsOf(rule),
    obtain: inject.kind === 'sigv4' ? async () => awsKeysOf(await live.obtain()) : live.obtain,
  };
}

function headerOf(inject: Injection): readonly string[] {
  return inject.kind === 'header' ? [inject.header] : [];
}
