import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';

import type { Material } from '../credential.ts';

/**
 * Signs a request again (AWS Signature Version 4), over exactly what is sent. The signer is that of the AWS SDK for JavaScript;
 * it is loaded for the first signature.
 */
export interface SignInput {
  readonly method: string;
  /** authority of the request, e.g. `s3.eu-west-1.amazonaws.com` */
  readonly authority: string;
  /** the path as it is sent */
  readonly path: string;
  /** clear names and values of the query, in the order sent */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** names in lower case; the fields to be signed and no others */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** hex SHA-256 of the content, or one of the words AWS takes instead */
  readonly contentHash: string;
  readonly region: string;
  readonly service: string;
  readonly nowMs: number;
}

export type AwsKeys = Extract<Material, { readonly kind: 'aws' }>;

/** The fields to send: those given, and what the signature adds. */
export async function signRequest(input: SignInput, keys: AwsKeys): Promise<readonly (readonly [string, string])[]> {
  const { SignatureV4 } = await import('@smithy/signature-v4');
  const isS3 = isObjectStore(input.service);
  const signer = new SignatureV4({
    service: input.service,
    region: input.region,
    credentials: {
      accessKeyId: keys.accessKeyId,
      secretAccessKey: keys.secretAccessKey.reveal(),
      ...(keys.sessionToken === undefined ? {} : { sessionToken: keys.sessionToken.reveal() }),
    },
    sha256: NodeSha256,
    uriEscapePath: !isS3,
    applyChecksum: false,
  });
  const headers = Object.fromEntries([['host', input.authority], ...input.fields, ['x-amz-content-sha256', input.contentHash]]);
  const signed = await signer.sign(
    {
      method: input.method,
      protocol: 'https:',
      hostname: input.authority,
      path: isS3 ? strictPath(input.path) : input.path,
      query: queryBag(input.query),
      headers,
    },
    { signingDate: new Date(input.nowMs) },
  );
  return Object.entries(signed.headers)
    .filter(([name]) => name !== 'host')
    .map(([name, value]) => [name.toLowerCase(), value]);
}

/** S3 and what speaks its protocol: paths are escaped once, content may be left out of the signature. */
export function isObjectStore(service: string): boolean {
  return /^s3(?:-|$)/.test(service);
}

/** The path as S3 reads it before it checks: every octet that is not unreserved (RFC 3986) escaped, once. */
function strictPath(path: string): string {
  return path
    .split('/')
    .map((segment) => strictEscape(decodeURIComponent(segment)))
    .join('/');
}

function strictEscape(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}

function queryBag(query: SignInput['query']): Record<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of query) {
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  // `fromEntries` makes an own property even of a name such as __proto__.
  return Object.fromEntries(values);
}

/** The form the signer wants its hash in. */
class NodeSha256 {
  readonly #secret: string | ArrayBuffer | ArrayBufferView | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret;
    this.#hash = start(secret);
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = start(this.#secret);
  }
}

function start(secret: string | ArrayBuffer | ArrayBufferView | undefined): Hash | Hmac {
  if (secret === undefined) {
    return createHash('sha256');
  }
  return createHmac(
    'sha256',
    typeof secret === 'string'
      ? secret
      : ArrayBuffer.isView(secret)
        ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
        : new Uint8Array(secret),
  );
}
