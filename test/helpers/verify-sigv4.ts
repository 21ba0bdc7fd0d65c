import { createHash, createHmac } from 'node:crypto';

/**
 * Checks a signature of AWS requests the way a server does, from the bytes on the wire and the description AWS gives of
 * Signature Version 4. It shares no line with what signs, and is itself checked against the vectors of AWS.
 */
export interface WireRequest {
  readonly method: string;
  readonly target: string;
  /** in the order sent; several of one name are kept apart */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** `undefined`: the signature is right; otherwise what is wrong with it. */
export function signatureFault(request: WireRequest, keys: Keys): string | undefined {
  const authorization = valueOf(request, 'authorization') ?? '';
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  const [, id = '', day = '', region = '', service = '', signedHeaders = '', signature = ''] = match ?? [];
  if (match === null || id !== keys.accessKeyId) {
    return match === null ? `no signature: ${authorization}` : `key id ${id}`;
  }
  if (valueOf(request, 'x-amz-security-token') !== keys.sessionToken) {
    return 'session token';
  }
  const date = valueOf(request, 'x-amz-date') ?? '';
  const stated = valueOf(request, 'x-amz-content-sha256');
  const isHash = stated !== undefined && /^[0-9a-f]{64}$/.test(stated);
  const hash = stated === undefined || isHash ? sha256(request.body) : stated;
  if (isHash && stated !== hash) {
    return 'the content is not the one that was signed';
  }
  const isS3 = service.startsWith('s3');
  const [path, query] = split(request.target);
  const canonical = [
    request.method,
    isS3 ? canonicalS3Path(path) : canonicalPath(path),
    canonicalQuery(query),
    ...signedHeaders.split(';').map((name) => `${name}:${joined(request, name)}`),
    '',
    signedHeaders,
    hash,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(Buffer.from(canonical))].join('\n');
  const key = ['aws4_request', service, region, day].reduceRight<Buffer>(
    (secret, part) => hmac(secret, part),
    Buffer.from(`AWS4${keys.secretAccessKey}`),
  );
  const wanted = hmac(key, toSign).toString('hex');
  return wanted === signature ? undefined : `signature; canonical request:\n${canonical}`;
}

function valueOf({ fields }: WireRequest, name: string): string | undefined {
  return fields.find((field) => field[0].toLowerCase() === name)?.[1];
}

function joined({ fields }: WireRequest, name: string): string {
  return fields
    .filter((field) => field[0].toLowerCase() === name)
    .map(([, value]) => value.trim().replaceAll(/ +/g, ' '))
    .join(',');
}

function split(target: string): readonly [string, string] {
  const at = target.indexOf('?');
  return at === -1 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

function canonicalPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') {
      kept.pop();
    } else if (segment !== '' && segment !== '.') {
      kept.push(segment);
    }
  }
  const end = kept.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${kept.map(escape).join('/')}${end}`;
}

function canonicalS3Path(path: string): string {
  return path
    .split('/')
    .map((segment) => escape(decodeURIComponent(segment)))
    .join('/');
}

function canonicalQuery(query: string): string {
  return query === ''
    ? ''
    : query
        .split('&')
        .map((part) => {
          const at = part.indexOf('=');
          const [name, value] = at === -1 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
          return `${escape(decodeURIComponent(name))}=${escape(decodeURIComponent(value))}`;
        })
        .toSorted((a, b) =>
          a.split('=')[0] === b.split('=')[0] ? compare(a, b) : compare(a.split('=')[0] ?? '', b.split('=')[0] ?? ''),
        )
        .join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function escape(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
