/**
 * An AWS URL as a program inside signs it (Signature Version 4 in the query), byte for byte as requested. The signature itself
 * is invented: the gateway does not have the key that it would be checked with, and does not look at it.
 */
export interface SignedAddress {
  readonly path: string;
  readonly id: string;
  readonly token?: string | undefined;
  readonly region: string;
  readonly service?: string | undefined;
  /** when it was signed */
  readonly atMs: number;
  readonly seconds?: number | undefined;
  /** default: the host alone */
  readonly headers?: string | undefined;
  /** hex, 64 letters */
  readonly signature: string;
}

export function signedAddress(asked: SignedAddress): string {
  const { path, id, token, region, service = 's3', atMs, seconds = 300, headers = 'host', signature } = asked;
  const date = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const parameters = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${id}/${date.slice(0, 8)}/${region}/${service}/aws4_request`,
    'X-Amz-Date': date,
    'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': headers,
    ...(token === undefined ? {} : { 'X-Amz-Security-Token': token }),
    'X-Amz-Signature': signature,
  };
  const query = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${path}?${query.join('&')}`;
}
