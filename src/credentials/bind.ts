import { CasemateError, toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { BoundCredential, Material } from './credential.ts';
import { isPhantom, makePhantom, type PhantomOwner } from './phantom.ts';
import { injectionOf, providerOf, type CredentialSpec } from './providers.ts';
import { readSource, type SourceAccess } from './sources.ts';

/** Ties a credential of the policy to one sandbox: its phantom, its place on the wire, its value held in memory. */

export interface Binding extends BoundCredential {
  /** Reads the source again; on failure the value held before stays in use and the error is thrown. */
  readonly refresh: () => Promise<void>;
  /** Forgets the value: `obtain()` throws from then on. */
  readonly forget: () => void;
}

export type BindOptions = Pick<PhantomOwner, 'sandboxId' | 'installationKey'> & SourceAccess;

/** Reads the source once. Throws `CREDENTIAL_UNAVAILABLE`, or `POLICY_INVALID` for a rule no provider can carry out. */
export async function bindCredential(rule: CredentialSpec, options: BindOptions): Promise<Binding> {
  return binding(rule, options, await readValue(rule, options));
}

/** What is known without the source: `obtain()` throws until `refresh()` has read it. */
export function bindWithoutValue(rule: CredentialSpec, options: BindOptions): Binding {
  return binding(rule, options, undefined);
}

function binding(rule: CredentialSpec, options: BindOptions, value: Material | undefined): Binding {
  const provider = providerOf(rule);
  const inject = injectionOf(rule);
  const { sandboxId, installationKey } = options;
  const phantom = makePhantom(provider.phantom, { sandboxId, installationKey, credentialName: rule.name });
  let held = value;
  return {
    name: rule.name,
    provider: rule.provider,
    phantom,
    phantoms: () => [phantom],
    identityHeaders: [...new Set([inject.header, ...provider.identityHeaders])],
    inject: { kind: 'header', ...inject },
    async obtain(): Promise<Material> {
      if (held === undefined) {
        throw new CasemateError('CREDENTIAL_UNAVAILABLE', `the value of credential "${visible(rule.name)}" is not held`, {
          hint: 'Restart the sandbox from a shell where its source can be read.',
        });
      }
      return held;
    },
    async refresh() {
      held = await readValue(rule, options);
    },
    forget() {
      held = undefined;
    },
  };
}

async function readValue(rule: CredentialSpec, access: SourceAccess): Promise<Material> {
  try {
    const { material } = await readSource(rule.source, access);
    refusePhantom(material);
    return material;
  } catch (error) {
    const { code, message, hint } = toCasemateError(error);
    throw new CasemateError(code, `credential "${visible(rule.name)}": ${message}`, { hint });
  }
}

/** A phantom as real value would make a sandbox's stand-in worth something, and mask a mistake until the first call. */
function refusePhantom(value: Material): void {
  if (isPhantom(value.kind === 'text' ? value.secret.reveal() : value.accessKeyId)) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', 'the source gives a phantom of a sandbox, not a key', {
      hint: 'Set the source to the real key, on the host.',
    });
  }
}
