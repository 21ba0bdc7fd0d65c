import type { BoundCredential, Injection } from '../../credentials/credential.ts';
import { foldedField, type Field } from '../http/fields.ts';
import { headerValue } from '../http/header-value.ts';
import { decodedName, foldedName, hasTooManyParts, isSameName, queryParts } from '../http/query.ts';
import { isOfSignature } from './presigned.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import { secretIn } from '../secrets/secret-search.ts';
import { createRecent } from '../secrets/recent.ts';
import { refuse, type Refusal } from '../refusal.ts';

/**
 * What a request may not say about who asks. A key of the caller's own would carry data to another account at an allowed host
 * (SEC-04), and a misplaced phantom is an attempt to see where the real key goes (SEC-06).
 */
export interface Claims {
  readonly fields: readonly Field[];
  readonly target: string;
  readonly credential: BoundCredential | undefined;
  readonly injection: Injection | undefined;
  /** phantoms of the whole sandbox */
  readonly phantoms: readonly string[];
}

export function identityFault(claims: Claims): Refusal | undefined {
  return foreignHeader(claims) ?? foreignParameter(claims) ?? misplaced(claims);
}

/** Names under which interfaces take a key from a header: those of this provider are not all that a host may know. */
const usualHeaders =
  /(?:^|-)(?:api-?key|api-?token|access-?(?:token|key)|auth-?(?:token|key)|subscription-(?:key|token)|(?:private|job|deploy|user|bearer)-token)$|^(?:x-)?(?:auth|token|key|auth-email|rapidapi-key)$|^x-(?:figma|vault|consul|gitlab)-token$|^(?:circle-token|fastly-key|x-jfrog-art-api|x-honeycomb-team|x-amz-security-token)$/;

/**
 * Whether a request header carries an identity here; the one that is injected does. `a_b` is compared as `a-b`: what
 * stands behind CGI, WSGI or PHP cannot tell them apart.
 */
export function identityNames(credential: BoundCredential | undefined): (name: string) => boolean {
  if (credential === undefined) {
    return isNone;
  }
  const known = namesOf.get(credential);
  if (known !== undefined) {
    return known;
  }
  const own = new Set(credential.identityHeaders.map(foldedField));
  const made = (name: string): boolean => own.has(foldedField(name)) || isUsualIdentity(name);
  namesOf.set(credential, made);
  return made;
}

const isNone = (): boolean => false;
/** Asked several times for each exchange. */
const namesOf = new WeakMap<BoundCredential, (name: string) => boolean>();

/** Whether some interface takes a key from a header of this name. */
export function isUsualIdentity(name: string): boolean {
  // A caller may send names of any length; what is remembered of them is bounded.
  return name.length > 64 ? isUsual(name) : rememberedUsual(name);
}

const isUsual = (name: string): boolean => usualHeaders.test(foldedField(name));
const rememberedUsual = createRecent(isUsual, 512);

/**
 * Subprotocols of a WebSocket by which clients that cannot send headers say a key: OpenAI's `openai-insecure-api-key.KEY`,
 * Kubernetes' `base64url.bearer.authorization.k8s.io.TOKEN`, and `access_token, TOKEN`. With a phantom it is a misplaced one.
 */
const keyProtocol = /(?:^|[.,\s-])(?:api-?key|bearer|authorization|(?:access|auth)[-_]?token|jwt)(?:[.,\s]|$)/i;

/** Every header that carries an identity holds the phantom, or is not there. A signature is judged by the one who signs anew. */
function foreignHeader({ fields, credential, injection }: Claims): Refusal | undefined {
  if (credential === undefined) {
    return undefined;
  }
  const isIdentity = identityNames(credential);
  const isSigned = (name: string): boolean => injection?.kind === 'sigv4' && name === 'authorization';
  const foreign = fields.find(
    ([name, value]) =>
      (isIdentity(name) && !isSigned(name) && !isPhantom(value, credential, injection)) ||
      (name === 'sec-websocket-protocol' && keyProtocol.test(value) && !credential.phantoms().some((one) => value.includes(one))),
  );
  return foreign === undefined
    ? undefined
    : refuse('foreign-key', `the header ${foreign[0]} holds a key that is not this sandbox's own`);
}

function isPhantom(value: string, credential: BoundCredential, injection: Injection | undefined): boolean {
  const bare = value.trim();
  if (credential.isStandIn?.(/^bearer +(\S+)$/i.exec(bare)?.[1] ?? bare) === true) {
    return true;
  }
  return credential.phantoms().some((phantom) => {
    const declared = injection?.kind === 'header' ? headerValue(injection, phantom) : phantom;
    return isForm(bare, phantom, declared);
  });
}

function isForm(bare: string, phantom: string, declared: string): boolean {
  if (bare === phantom || bare === declared) {
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
const usualKeys =
  /^(?:x_)?(?:api_?(?:key|token)|key|access_?(?:token|key)|auth_?token|token|auth|authorization|subscription_key|(?:oauth|bearer|private|job|deploy)_?token|_?http_?headers)$/;
/** Those of addresses that are signed (AWS, Google, Azure). */
const signedAddress = /^(?:x-(?:amz|goog)-(?:algorithm|credential|signature|security-token)|awsaccesskeyid|googleaccessid|sig)$/i;

function foreignParameter({ target, credential, injection }: Claims): Refusal | undefined {
  if (credential === undefined) {
    return undefined;
  }
  if (hasTooManyParts(target)) {
    return refuse('malformed-request', 'the query has more parts than can be looked at');
  }
  const own = injection?.kind === 'query' ? injection.parameter : undefined;
  // Many servers take a field of a form from the query as well, and some of them that one first.
  const inBody = injection?.kind === 'body' ? injection.field : undefined;
  // Judged by the one who signs anew.
  const isSigned = (name: string): boolean => injection?.kind === 'sigv4' && isOfSignature(name);
  const isForeign = (name: string): boolean =>
    (inBody !== undefined && isSameName(name, inBody)) ||
    (isKeyParameter(name, credential) && !isSigned(name) && (own === undefined || !isSameName(name, own)));
  const foreign = queryParts(target)
    .map(({ name }) => decodedName(name))
    .find(isForeign);
  return foreign === undefined
    ? undefined
    : refuse('foreign-key', 'the query holds a key or a signature; the gateway itself sends the key, in another place');
}

function isKeyParameter(name: string, { keyParameters }: BoundCredential): boolean {
  const isKey =
    keyParameters === undefined ? usualKeys.test(foldedName(name)) : keyParameters.some((one) => isSameName(one, name));
  return isKey || signedAddress.test(name);
}

/** A phantom anywhere else: it does no harm there, but somebody tries to see where the real one goes. */
function misplaced({ fields, target, credential, injection, phantoms }: Claims): Refusal | undefined {
  const set = phantomSearch(phantoms);
  if (secretIn(withoutOwn(target, injection), set) !== undefined) {
    return refuse('phantom-misplaced', 'a key of this sandbox stands in the address of the request');
  }
  const isIdentity = identityNames(credential);
  // All of them at once: hardly ever one of them has to be found.
  let others = '';
  for (const field of fields) {
    others += isIdentity(field[0]) ? '' : `${field[0]}: ${field[1]}\n`;
  }
  const isSuspect = /: *basic /i.test(others) || secretIn(others, set) !== undefined;
  const field = isSuspect
    ? fields.find(([name, value]) => !isIdentity(name) && secretIn(`${name}: ${value}`, set) !== undefined)
    : undefined;
  return field === undefined
    ? undefined
    : refuse('phantom-misplaced', `a key of this sandbox stands in the header ${field[0]}, where it does not belong`);
}

/** Without what is looked at by whoever puts the key there. */
function withoutOwn(target: string, injection: Injection | undefined): string {
  switch (injection?.kind) {
    case 'query': {
      return withoutParameters(target, (name) => isSameName(name, injection.parameter));
    }
    case 'sigv4': {
      return target.includes('?') ? withoutParameters(target, isOfSignature) : target;
    }
    default:
      return target;
  }
}

function withoutParameters(target: string, isOwn: (name: string) => boolean): string {
  const rest = queryParts(target).filter(({ name }) => !isOwn(decodedName(name)));
  return `${target.split('?', 1)[0] ?? ''}?${rest.map(({ text }) => text).join('&')}`;
}
