import type { BoundCredential, Injection } from './credential.ts';
import { bindLogin, type BoundLogin, type LoginFacts } from './login/bind-login.ts';
import { liveValue, type LiveValue, type LiveValueOptions } from './live-value.ts';
import { awsKeysOf } from './aws/aws-keys.ts';
import { injectionOf, injectionsOf } from './injections.ts';
import { systemClock } from '../system/clock.ts';
import { makePhantom, type PhantomOwner } from './phantom.ts';
import { providerOf, type CredentialSpec } from './providers.ts';

/** Binds a credential of the policy to one sandbox: its phantom, its place on the wire, and its value held in memory. */

export interface Binding extends BoundCredential, LiveValue {
  readonly onRejected: LiveValue['onRejected'];
  readonly epoch: LiveValue['epoch'];
  /** phantom of a part, such as `secret` */
  readonly phantomPart: (part: string | undefined) => string | undefined;
  /** where it is an agent's login */
  readonly login?: BoundLogin | undefined;
}

export type BindOptions = Pick<PhantomOwner, 'sandboxId' | 'installationKey'> &
  LiveValueOptions & {
    /** what the sandbox may know of the account of an agent's login */
    readonly accountOf?: ((agent: string) => LoginFacts['account']) | undefined;
  };

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
  const login = loginOf(rule, owner, options);
  return {
    ...live,
    name: rule.name,
    provider: rule.provider,
    phantom: login?.standIns.now().accessToken ?? phantom,
    phantoms: login?.standIns.all ?? (() => [phantom, ...parts.values()]),
    isStandIn: login?.standIns.isAccess,
    login,
    local: login?.local,
    phantomPart: (part) => (part === undefined ? phantom : parts.get(part)),
    identityHeaders: [...new Set([...headerOf(inject), ...provider.identityHeaders])],
    keyParameters: provider.keyParameters,
    inject,
    injectAt: injectionsOf(rule),
    obtain: inject.kind === 'sigv4' ? async () => awsKeysOf(await live.obtain()) : live.obtain,
  };
}

function loginOf({ source }: CredentialSpec, owner: PhantomOwner, options: BindOptions): BoundLogin | undefined {
  const clock = options.clock ?? systemClock;
  return source.kind === 'login'
    ? bindLogin(source.agent, owner, { account: options.accountOf?.(source.agent), nowMs: () => clock.nowMs() })
    : undefined;
}

function headerOf(inject: Injection): readonly string[] {
  return inject.kind === 'header' ? [inject.header] : [];
}
