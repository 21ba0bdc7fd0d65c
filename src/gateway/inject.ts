import { toCasemateError } from '../base/errors.ts';
import type { BoundCredential } from '../credentials/credential.ts';
import type { BodyStep } from './body-steps.ts';
import { forwardedRequestFields, valuesOf, type Field } from './fields.ts';
import { refuse, type Refusal } from './refusal.ts';

/**
 * Puts the real credential in the place of the phantom: in the declared header, once, and nowhere else. A key of the
 * caller's own is refused, because it would carry data to somebody else's account at an allowed host (SEC-04).
 */
export interface InjectInput {
  readonly fields: readonly Field[];
  readonly target: string;
  /** the credential of the rule that allowed the request */
  readonly credential: BoundCredential | undefined;
  /** phantoms of the whole sandbox */
  readonly phantoms: readonly string[];
}

/** A request as it goes on, the credential included. */
export interface Outgoing {
  readonly target: string;
  readonly fields: readonly Field[];
  /** the real value in it; answers are searched for it */
  readonly secret: string | undefined;
  /** changes the content on its way, where the credential stands in it */
  readonly step?: BodyStep | undefined;
}

export type InjectResult = { readonly ok: true; readonly outgoing: Outgoing } | { readonly ok: false; readonly refusal: Refusal };

export async function inject({ fields, target, credential, phantoms }: InjectInput): Promise<InjectResult> {
  const identity = new Set(credential?.identityHeaders.map((name) => name.toLowerCase()));
  const refusal =
    identityFault(fields, credential) ?? queryFault(target, credential) ?? misplaced({ fields, target, identity, phantoms });
  if (refusal !== undefined) {
    return { ok: false, refusal };
  }
  const kept = forwardedRequestFields(fields).filter(([name]) => !identity.has(name));
  if (credential === undefined) {
    return { ok: true, outgoing: { target, fields: kept, secret: undefined } };
  }
  const secret = await reveal(credential);
  if (typeof secret !== 'string') {
    return { ok: false, refusal: secret };
  }
  if (credential.inject.kind !== 'header') {
    return {
      ok: false,
      refusal: refuse('credential-unavailable', `the credential "${credential.name}" cannot be put on the wire`),
    };
  }
  const header = credential.inject.header.toLowerCase();
  const injected: Field = [header, credential.inject.format.replace('{}', () => secret)];
  const own = plainAnswers(kept.filter(([name]) => name !== header));
  return { ok: true, outgoing: { target, fields: [...own, injected], secret } };
}

/** Asks for answers that can be searched for the secret as they come. */
function plainAnswers(fields: readonly Field[]): readonly Field[] {
  return [...fields.filter(([name]) => name !== 'accept-encoding'), ['accept-encoding', 'identity']];
}

async function reveal(credential: BoundCredential): Promise<string | Refusal> {
  try {
    const material = await credential.obtain();
    const secret = material.kind === 'text' ? material.secret.reveal() : '';
    // A line break would let the secret end the header.
    return /^[\x20-\x7e]+$/.test(secret)
      ? secret
      : refuse('credential-unavailable', `the value of the credential "${credential.name}" does not fit into a header`);
  } catch (thrown) {
    return refuse(
      'credential-unavailable',
      `the credential "${credential.name}" cannot be read on the host (${toCasemateError(thrown).code})`,
    );
  }
}

/** Every header that carries an identity holds the phantom, or is not there. */
function identityFault(fields: readonly Field[], credential: BoundCredential | undefined): Refusal | undefined {
  const foreign = credential?.identityHeaders.find((name) =>
    valuesOf(fields, name.toLowerCase()).some((value) => !isPhantom(value, credential)),
  );
  return foreign === undefined
    ? undefined
    : refuse('foreign-key', `the header ${foreign.toLowerCase()} holds a key that is not this sandbox's own`);
}

function isPhantom(value: string, credential: BoundCredential): boolean {
  const format = credential.inject.kind === 'header' ? credential.inject.format : '{}';
  return credential.phantoms().some((phantom) => isForm(value.trim(), phantom, format));
}

function isForm(bare: string, phantom: string, format: string): boolean {
  if (bare === phantom || bare === format.replace('{}', () => phantom)) {
    return true;
  }
  const [, scheme = '', rest = ''] = /^(\S+) +(\S+)$/.exec(bare) ?? [];
  if (/^(?:bearer|token)$/i.test(scheme)) {
    return rest === phantom;
  }
  // git and package managers send the key as the password, or as the user, of Basic (RFC 7617).
  return /^basic$/i.test(scheme) && Buffer.from(rest, 'base64').toString('latin1').split(':').includes(phantom);
}

/** Names under which interfaces take a key from the query. */
const keyParameters = /^(?:x[-_])?(?:api[-_]?key|key|access[-_]?token|auth[-_]?token|token|auth)$/i;

function queryFault(target: string, credential: BoundCredential | undefined): Refusal | undefined {
  const start = target.indexOf('?');
  if (credential === undefined || start === -1) {
    return undefined;
  }
  const named = [...new URLSearchParams(target.slice(start + 1)).keys()].find((name) => keyParameters.test(name));
  return named === undefined ? undefined : refuse('foreign-key', 'the query holds a key; the gateway sends the key in a header');
}

interface Places {
  readonly fields: readonly Field[];
  readonly target: string;
  readonly identity: ReadonlySet<string>;
  readonly phantoms: readonly string[];
}

/** A phantom anywhere else: it does no harm there, but somebody tries to see where the real one goes. */
function misplaced({ fields, target, identity, phantoms }: Places): Refusal | undefined {
  const decodedTarget = decodeLeniently(target);
  for (const phantom of phantoms) {
    if (target.includes(phantom) || decodedTarget.includes(phantom)) {
      return refuse('phantom-misplaced', 'a key of this sandbox stands in the address of the request');
    }
    const field = fields.find(
      ([name, value]) => !identity.has(name) && (holds(value, phantom) || name.includes(phantom.toLowerCase())),
    );
    if (field !== undefined) {
      return refuse('phantom-misplaced', `a key of this sandbox stands in the header ${field[0]}, where it does not belong`);
    }
  }
  return undefined;
}

function holds(value: string, phantom: string): boolean {
  const basic = /^basic +(\S+)$/i.exec(value.trim())?.[1];
  return (
    value.includes(phantom) ||
    (value.includes('%') && decodeLeniently(value).includes(phantom)) ||
    (basic !== undefined && Buffer.from(basic, 'base64').includes(phantom))
  );
}

function decodeLeniently(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
