import { canonicalHost, type HostName } from '../../base/host.ts';
import type { Exchange } from '../exchange.ts';
import { strayOfConnection, tokensOf, valuesOf } from './fields.ts';
import { refuse, type Refusal } from '../refusal.ts';

/**
 * Checks that a request agrees with its connection: the authority is the requested name, the target is a plain path, the framing
 * is unambiguous. What two servers could read in two ways is refused (RFC 9112 section 11.2).
 */
export interface RequestHead {
  /** as it is sent on */
  readonly target: string;
  /** without the query */
  readonly path: string;
  readonly contentLength: number | undefined;
}

export type HeadResult = { readonly ok: true; readonly head: RequestHead } | { readonly ok: false; readonly refusal: Refusal };

export interface AskedFor {
  readonly host: HostName;
  readonly port: number;
}

export function readHead(exchange: Exchange, asked: AskedFor): HeadResult {
  const refusal = methodFault(exchange) ?? authorityFault(exchange, asked) ?? targetFault(exchange) ?? framingFault(exchange);
  if (refusal !== undefined) {
    return { ok: false, refusal };
  }
  const path = pathOf(exchange.target);
  const length = valuesOf(exchange.fields, 'content-length')[0];
  const contentLength = length === undefined ? undefined : Number(length);
  return { ok: true, head: { target: exchange.target, path, contentLength } };
}

export function pathOf(target: string): string {
  const end = target.search(/[?#]/);
  return end === -1 ? target : target.slice(0, end);
}

function methodFault({ method, version }: Exchange): Refusal | undefined {
  if (version === 'other') {
    return refuse('malformed-request', 'the version of HTTP is not one of a request like this');
  }
  if (method === 'CONNECT' || method === 'TRACE') {
    return refuse('target-not-allowed', `${method} is not carried out here`);
  }
  return /^[A-Z][A-Z-]{0,31}$/.test(method) ? undefined : refuse('malformed-request', 'the method is not well formed');
}

function authorityFault({ authorities }: Exchange, asked: AskedFor): Refusal | undefined {
  if (authorities.length === 0) {
    return refuse('malformed-request', 'the request names no host');
  }
  if (authorities.every((authority) => isSame(authority, asked))) {
    return undefined;
  }
  return refuse('authority-mismatch', `the connection was opened for ${asked.host}, the request names another host`);
}

function isSame(authority: string, { host, port }: AskedFor): boolean {
  if (authority === host) {
    return true;
  }
  const match = /^([A-Za-z0-9._-]+?)(?::(\d{1,5}))?$/.exec(authority);
  return match?.[1] !== undefined && canonicalHost(match[1]) === host && (match[2] === undefined || Number(match[2]) === port);
}

function targetFault({ target }: Exchange): Refusal | undefined {
  // Absolute and authority form are for proxies; there is none here that a client should know of.
  if (!target.startsWith('/')) {
    return refuse('target-not-allowed', 'the request target is not a path');
  }
  return /^[\x21-\x22\x24-\x7e]*$/.test(target)
    ? undefined
    : refuse('malformed-request', 'the request target holds characters that do not belong there');
}

function framingFault({ fields, version }: Exchange): Refusal | undefined {
  const coding = tokensOf(fields, 'transfer-encoding');
  // Faulty by RFC 9112 section 6.1: a server of that version would look for the end elsewhere.
  if (coding.length > 0 && version === '1.0') {
    return refuse('malformed-request', 'HTTP/1.0 knows no transfer coding');
  }
  if (strayOfConnection(fields) !== undefined) {
    return refuse('malformed-request', 'the header connection names a field that is not of the connection alone');
  }
  const lengths = valuesOf(fields, 'content-length');
  if (coding.length > 1 || (coding.length === 1 && (coding[0] !== 'chunked' || lengths.length > 0))) {
    return refuse('malformed-request', 'the transfer coding is not understood');
  }
  const isClear = lengths.length <= 1 && lengths.every((value) => /^\d{1,15}$/.test(value));
  return isClear ? undefined : refuse('malformed-request', 'the content length is not clear');
}
