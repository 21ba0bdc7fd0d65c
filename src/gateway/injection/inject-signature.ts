import { createHash } from 'node:crypto';

import { isReadByContent, isVending } from '../../credentials/aws/aws-vending.ts';
import { isObjectStore, signRequest, type AwsKeys } from '../../credentials/aws/sigv4.ts';
import { parseScope, scopeFault, type SigningScope } from '../../credentials/aws/sigv4-scope.ts';
import { valuesOf, type Field } from '../http/fields.ts';
import type { InjectInput, InjectResult, Placing } from './placing.ts';
import { isPresigned, readPresigned } from './presigned.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import { maskWhole } from '../secrets/secret-search.ts';
import { decodedName, decodeOrUndefined, queryParts, valuesOfParameter } from '../http/query.ts';
import { refuse, type Refusal, type RefusalReason } from '../refusal.ts';

/**
 * Signs requests to AWS again with the real keys (Signature Version 4), after the caller signed them with its phantom keys, in
 * the header or in the URL. Of the caller's signature only key id, region and service are read, and of a URL how long it is
 * valid; all of the signature is removed.
 */
const maxBytes = 25 * 1024 * 1024;

/** Stand for the content where it is not signed as a whole; the second one is followed by a checksum of it. */
const unsigned = ['UNSIGNED-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'] as const;

/** Part of the caller's own signature. */
const signing = new Set(['authorization', 'x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256', 'date']);

/** What is signed beside `x-amz-*`: all that AWS needs, and nothing that a proxy on the way may change. */
const alsoSigned = new Set(['content-type', 'content-md5']);

export async function injectSignature(placing: Placing, keys: AwsKeys): Promise<InjectResult> {
  const read = isPresigned(placing.input.target) ? inAddress(placing) : inHeader(placing);
  if ('reason' in read) {
    return { ok: false, refusal: read };
  }
  const { input, kept, scope } = read;
  const query = clearQuery(input.target);
  if (query === undefined) {
    return refused('not-signable', 'the address cannot be signed: write a space as %20 and a plus as %2B, and escape in UTF-8');
  }
  const settled = await settleContent(input, scope);
  if ('reason' in settled) {
    return { ok: false, refusal: settled };
  }
  const fault = vendingFault(scope, input, settled.content);
  if (fault !== undefined) {
    return { ok: false, refusal: fault };
  }
  const own = kept.filter(([name]) => !signing.has(name));
  const toSign = own.filter(([name]) => name.startsWith('x-amz-') || alsoSigned.has(name));
  if (new Set(toSign.map(([name]) => name)).size !== toSign.length) {
    return refused('not-signable', 'a header that AWS wants signed stands there twice');
  }
  const signed = await signRequest(
    {
      method: input.method,
      authority: input.authority,
      path: input.target.split('?', 1)[0] ?? '',
      query,
      fields: toSign,
      contentHash: settled.hash,
      region: scope.region,
      service: scope.service,
      nowMs: input.nowMs,
    },
    keys,
  );
  const length: Field[] = settled.content === undefined ? [] : [['content-length', String(settled.content.length)]];
  const unsignedFields = own.filter(
    ([name]) => !toSign.some((field) => field[0] === name) && (length.length === 0 || name !== 'content-length'),
  );
  const secret = keys.secretAccessKey.reveal();
  return {
    ok: true,
    outgoing: {
      target: input.target,
      fields: [...unsignedFields, ...length, ...signed],
      secret,
      scrub: [secret, ...(keys.sessionToken === undefined ? [] : [keys.sessionToken.reveal()])],
      content: settled.content,
      isMasked: settled.isMasked,
    },
  };
}

/** A request without what its caller signed, and what that said. */
type Unsigned = Pick<Placing, 'input' | 'kept'> & { readonly scope: SigningScope };

function inAddress({ input, kept, credential }: Placing): Unsigned | Refusal {
  if (valuesOf(input.fields, 'authorization').length > 0) {
    return refuse('foreign-key', 'the request is signed in its address and in its header');
  }
  const read = readPresigned(input);
  if (typeof read === 'string') {
    return refuse('not-signable', read);
  }
  const { scope, securityToken, target, moved } = read;
  if (securityToken !== undefined && !credential.phantoms().includes(securityToken)) {
    return refuse('foreign-key', "the address holds a token that is not this sandbox's own");
  }
  const fault = ownFault(scope, input.host, credential.phantoms());
  const fields = [...input.fields, ...moved];
  return fault ?? { input: { ...input, target, fields }, kept: [...kept, ...moved], scope };
}

function inHeader({ input, kept, credential }: Placing): Unsigned | Refusal {
  const scope = scopeOf(input, credential.phantoms());
  return 'reason' in scope ? scope : { input, kept, scope };
}

function ownFault(scope: SigningScope, host: string, phantoms: readonly string[]): Refusal | undefined {
  if (!phantoms.includes(scope.accessKeyId)) {
    return refuse('foreign-key', "the request is signed with keys that are not this sandbox's own");
  }
  const fault = scopeFault(scope, host);
  return fault === undefined ? undefined : refuse('not-signable', fault);
}

function scopeOf({ fields, host }: InjectInput, phantoms: readonly string[]): SigningScope | Refusal {
  const [authorization, ...more] = valuesOf(fields, 'authorization');
  if (authorization === undefined) {
    return refuse(
      'not-signable',
      `the request is not signed; sign it with the keys of this sandbox, so that its region and service are known`,
    );
  }
  const scope = more.length > 0 ? undefined : parseScope(authorization);
  if (scope === undefined) {
    const known = authorization.startsWith('AWS4-ECDSA')
      ? 'a signature of version 4A, which is not supported'
      : 'no AWS signature of version 4';
    return refuse('foreign-key', `the header authorization holds ${known}`);
  }
  return ownFault(scope, host, phantoms) ?? scope;
}

/** As the signer wants it; `undefined` where servers could read it in two ways. */
function clearQuery(target: string): readonly (readonly [string, string])[] | undefined {
  if (!isDecodable(target.split('?', 1)[0] ?? '')) {
    return undefined;
  }
  const parts = queryParts(target).filter(({ isDoubtful }) => !isDoubtful);
  const clear = parts.map(({ name, value }) => [decodeOrUndefined(name), decodeOrUndefined(value)] as const);
  const isPlain = parts.every(({ text }) => !/[+;]/.test(text));
  return isPlain && clear.every(([name, value]) => name !== undefined && value !== undefined)
    ? clear.map(([name = '', value = '']) => [name, value])
    : undefined;
}

function isDecodable(path: string): boolean {
  return decodeOrUndefined(path.replaceAll('+', '%2B')) !== undefined;
}

interface Settled {
  readonly hash: string;
  /** absent: it is sent as it comes */
  readonly content: Buffer | undefined;
  readonly isMasked: boolean;
}

async function settleContent({ fields, content, phantoms }: InjectInput, scope: SigningScope): Promise<Settled | Refusal> {
  const [stated, ...more] = valuesOf(fields, 'x-amz-content-sha256');
  const fault = more.length > 0 ? refuse('not-signable', 'x-amz-content-sha256 stands there twice') : statedFault(stated, scope);
  if (fault !== undefined) {
    return fault;
  }
  if (stated !== undefined && unsigned.some((word) => word === stated)) {
    return { hash: stated, content: undefined, isMasked: false };
  }
  if (content === undefined) {
    return { hash: sha256(Buffer.alloc(0)), content: undefined, isMasked: false };
  }
  if ((content.length ?? 0) > maxBytes && isObjectStore(scope.service)) {
    // The caller's own hash where there is one: S3 compares it with what arrives.
    return { hash: stated ?? unsigned[0], content: undefined, isMasked: false };
  }
  const raw = await content.read(maxBytes);
  if (!Buffer.isBuffer(raw)) {
    return raw;
  }
  const { bytes, isMasked } = maskWhole(raw, phantomSearch(phantoms));
  return { hash: sha256(bytes), content: bytes, isMasked };
}

function statedFault(stated: string | undefined, { service }: SigningScope): Refusal | undefined {
  if (stated === undefined || /^[0-9a-f]{64}$/.test(stated)) {
    return undefined;
  }
  if (!unsigned.some((word) => word === stated)) {
    return refuse(
      'not-signable',
      'the content is signed piece by piece, which cannot be done anew; have the client send it unsigned or whole',
    );
  }
  return isObjectStore(service)
    ? undefined
    : refuse('not-signable', `the service ${service} does not take content that is not signed`);
}

/** One call has one: with more of them it is not said which one is carried out. */
const mostActions = 1;

/** Calls whose answer holds fresh keys are not signed: those would be real ones inside the sandbox. */
function vendingFault(
  { service }: SigningScope,
  { target, fields }: InjectInput,
  content: Buffer | undefined,
): Refusal | undefined {
  if (isReadByContent(service) && !isReadable(fields, content)) {
    return refuse(
      'not-signable',
      `a call of ${service} is signed only with its content as a form, JSON or CBOR, in UTF-8, not compressed`,
    );
  }
  const path = target.split('?', 1)[0] ?? '';
  const query = queryParts(target);
  // Of a service that is not told apart by its content nothing is looked for there: it may be an object of many megabytes.
  const form = isReadByContent(service) ? (content?.toString('latin1') ?? '') : '';
  const actions = [target.slice(path.length + 1), form].flatMap((text) => valuesOfParameter(text, 'action', mostActions + 1));
  if (isReadByContent(service) && actions.length > mostActions) {
    return refuse('not-signable', `a call of ${service} is signed only where it names itself once`);
  }
  const targets = valuesOf(fields, 'x-amz-target').map((value) => value.split('.').at(-1)?.trim() ?? '');
  const [, inPath] = /\/operation\/([^/]+)\/*$/i.exec(decodedName(path)) ?? [];
  const call = {
    service,
    path: decodedName(path),
    parameters: query.map(({ name }) => decodedName(name).toLowerCase()),
    operations: [...actions, ...targets, ...(inPath === undefined ? [] : [inPath])],
  };
  return isVending(call)
    ? refuse('not-signable', `${service} would answer this call with a real key; of STS only GetCallerIdentity is signed`)
    : undefined;
}

/** Whether the content says to its reader what it says here: another charset or form would hide the name of a call. */
function isReadable(fields: readonly Field[], content: Buffer | undefined): boolean {
  const coding = valuesOf(fields, 'content-encoding').join().toLowerCase();
  const [type, ...more] = valuesOf(fields, 'content-type');
  const plain = /^\s*application\/(?:x-www-form-urlencoded|json|x-amz-json-1\.[01]|cbor)\s*(?:;\s*charset="?utf-8"?\s*)?$/i;
  const isPlain = more.length === 0 && (type === undefined || plain.test(type));
  return (coding === '' || coding === 'identity') && (isPlain || content === undefined || content.length === 0);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function refused(reason: RefusalReason, message: string): InjectResult {
  return { ok: false, refusal: refuse(reason, message) };
}
