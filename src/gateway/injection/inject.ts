import { toCasemateError } from '../../base/errors.ts';
import type { BoundCredential, Injection, Material } from '../../credentials/credential.ts';
import { foldedField, forwardedRequestFields, type Field } from '../http/fields.ts';
import { basicValue, headerValue } from '../http/header-value.ts';
import { identityFault, identityNames } from './identity.ts';
import { injectBody } from './inject-body.ts';
import { injectSignature } from './inject-signature.ts';
import type { InjectInput, InjectResult, Placing } from './placing.ts';
import { refuse, type Refusal } from '../refusal.ts';
import { placeForParameter } from '../http/replace-parameter.ts';

/**
 * Puts the real credential in place of the phantom: in the declared place, once, and nowhere else. A key of the caller's own is
 * refused, because it would carry data to another account at an allowed host (SEC-04).
 */
export async function inject(input: InjectInput): Promise<InjectResult> {
  const { fields, target, credential, phantoms, host } = input;
  const injection = credential?.injectAt?.(host) ?? credential?.inject;
  const fault = identityFault({ fields, target, credential, injection, phantoms });
  if (fault !== undefined) {
    return { ok: false, refusal: fault };
  }
  const isIdentity = identityNames(credential);
  const kept = forwardedRequestFields(fields, isIdentity);
  if (credential === undefined || injection === undefined) {
    return { ok: true, outgoing: { target, fields: kept, secret: undefined } };
  }
  const material = await reveal(credential);
  if ('reason' in material) {
    return { ok: false, refusal: material };
  }
  const placed = await place({ input, credential, injection, kept: searchable(kept, injection) }, material);
  return placed.ok ? { ok: true, outgoing: { ...placed.outgoing, material } } : placed;
}

/** Asks for answers that can be searched for the secret as they come: whole, because a part of it is not known for one. */
function searchable(fields: readonly Field[], { kind }: Injection): readonly Field[] {
  // A signature says nothing of the key, and large objects are fetched in parts.
  const changed = kind === 'sigv4' ? ofForm : ofFormAndParts;
  const kept = fields.filter(([name]) => !changed.has(foldedField(name)));
  kept.push(['accept-encoding', 'identity']);
  return kept;
}

const ofForm: ReadonlySet<string> = new Set([
  'accept-encoding',
  'accept-charset',
  'grpc-accept-encoding',
  'connect-accept-encoding',
]);
/** `Request-Range`: as browsers said it before the standard, and Apache still reads it. */
const ofFormAndParts: ReadonlySet<string> = new Set([...ofForm, 'range', 'if-range', 'request-range']);

async function reveal(credential: BoundCredential): Promise<Material | Refusal> {
  try {
    return await credential.obtain();
  } catch (thrown) {
    const { code, message } = toCasemateError(thrown);
    if (code === 'CREDENTIAL_REVOKED') {
      return {
        ...refuse('credential-revoked', `the credential "${credential.name}" was revoked on the host`),
        credential: credential.name,
      };
    }
    if (code === 'LOGIN_ENDED') {
      return refuse('login-ended', message);
    }
    return refuse('credential-unavailable', `the credential "${credential.name}" cannot be read on the host (${code})`);
  }
}

async function place(placing: Placing, material: Material): Promise<InjectResult> {
  const { injection, credential } = placing;
  if (injection.kind === 'sigv4') {
    return material.kind === 'aws' ? injectSignature(placing, material) : unfit(credential, 'is no pair of AWS keys');
  }
  if (material.kind !== 'text') {
    return unfit(credential, 'is not one text');
  }
  const secret = material.secret.reveal();
  // A line break would let the secret end the header.
  if (!/^[\x20-\x7e]+$/.test(secret)) {
    return unfit(credential, 'does not fit into a header');
  }
  switch (injection.kind) {
    case 'header':
      return withHeader(placing, [injection.header.toLowerCase(), headerValue(injection, secret)], secret);
    case 'basic':
      return withHeader(placing, ['authorization', basicValue(injection.user, secret)], secret);
    case 'query':
      return withParameter(placing, injection.parameter, secret);
    case 'body':
      return injectBody(placing, injection.field, secret);
    default:
      return injection satisfies never;
  }
}

function unfit({ name }: BoundCredential, why: string): InjectResult {
  return { ok: false, refusal: refuse('credential-unavailable', `the value of the credential "${name}" ${why}`) };
}

function withHeader({ input, kept }: Placing, injected: Field, secret: string): InjectResult {
  const fields = kept.filter(([name]) => name !== injected[0]);
  fields.push(injected);
  return { ok: true, outgoing: { target: input.target, fields, secret } };
}

function withParameter({ input, credential, kept }: Placing, parameter: string, secret: string): InjectResult {
  const at = input.target.indexOf('?');
  const path = at === -1 ? input.target : input.target.slice(0, at);
  const query = at === -1 ? '' : input.target.slice(at + 1);
  const found = placeForParameter(query, { parameter, phantoms: credential.phantoms() });
  if (!found.ok) {
    const refusal =
      found.fault === 'foreign'
        ? refuse('foreign-key', `the parameter ${parameter} holds a key that is not this sandbox's own, or stands there twice`)
        : refuse('malformed-request', 'the query holds an escape that is none');
    return { ok: false, refusal };
  }
  const target = `${path}?${found.before}${encodeURIComponent(secret)}${found.after}`;
  return { ok: true, outgoing: { target, fields: kept, secret } };
}
