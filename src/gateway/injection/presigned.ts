import { scopeIn, type SigningScope } from '../../credentials/aws/sigv4-scope.ts';
import type { Field } from '../http/fields.ts';
import { decodedName, decodeOrUndefined, queryParts, type QueryPart } from '../http/query.ts';

/**
 * Takes apart a URL that a program inside signed with its phantom keys (Signature Version 4 in the query), so that the request
 * can be signed again in its header. Nothing of that signature is sent on, so the real one never appears in a URL, and it is
 * valid only for the minutes that AWS allows a header.
 */
export interface Presigned {
  readonly scope: SigningScope;
  readonly securityToken: string | undefined;
  /** without the signature */
  readonly target: string;
  /** what a program put into the address in place of a header, as signers do with `x-amz-*` */
  readonly moved: readonly Field[];
}

export interface PresignedInput {
  readonly target: string;
  readonly fields: readonly Field[];
  readonly nowMs: number;
}

const names = [
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-signedheaders',
  'x-amz-signature',
  'x-amz-security-token',
] as const;
type Name = (typeof names)[number];
/** Those that make an address a signed one; a date alone is none. */
const telling: ReadonlySet<string> = new Set(['x-amz-algorithm', 'x-amz-credential', 'x-amz-signature', 'x-amz-security-token']);

/** Longest that AWS takes. */
const mostSeconds = 7 * 24 * 3600;
/** How far clocks may be apart, as AWS has it. */
const skewMs = 15 * 60_000;

/** Whether this parameter, by its clear name, is part of such a signature. */
export function isOfSignature(name: string): boolean {
  return telling.has(name.toLowerCase());
}

export function isPresigned(target: string): boolean {
  return target.includes('?') && queryParts(target).some(({ name }) => isOfSignature(decodedName(name)));
}

/** A sentence: why it cannot be read in one way, or is not good now. */
export function readPresigned({ target, fields, nowMs }: PresignedInput): Presigned | string {
  const parts = queryParts(target);
  const stated = statedIn(parts);
  if (stated === undefined || parts.some(({ isDoubtful }) => isDoubtful)) {
    return 'the signature in the address is not complete, or more than one';
  }
  const scope = scopeIn(stated['x-amz-credential']);
  if (scope === undefined || stated['x-amz-algorithm'] !== 'AWS4-HMAC-SHA256') {
    return 'the signature in the address is none of version 4';
  }
  const moved = movedFields(parts);
  if (moved === undefined) {
    return 'the address holds what cannot be written as a header';
  }
  const fault = timeFault(stated, nowMs) ?? headerFault(stated['x-amz-signedheaders'], [...fields, ...moved]);
  return fault ?? { scope, securityToken: stated['x-amz-security-token'], target: withoutSignature(target, parts), moved };
}

function withoutSignature(target: string, parts: readonly QueryPart[]): string {
  const rest = parts.filter((part) => !isNamed(part) && !isMoved(part)).map(({ text }) => text);
  const path = target.split('?', 1)[0] ?? '';
  return rest.length === 0 ? path : `${path}?${rest.join('&')}`;
}

type Stated = Readonly<Record<Exclude<Name, 'x-amz-security-token'>, string>> & Partial<Record<Name, string>>;

/** Each of its parts, once; `undefined` where one is missing, or there twice. */
function statedIn(parts: readonly QueryPart[]): Stated | undefined {
  const stated: Partial<Record<Name, string>> = {};
  for (const part of parts) {
    const name = nameOf(part);
    const known = names.find((one) => one === name);
    if (known !== undefined) {
      const value = decodeOrUndefined(part.value);
      if (value === undefined || stated[known] !== undefined) {
        return undefined;
      }
      stated[known] = value;
    }
  }
  return isWhole(stated) && /^[0-9a-f]{64}$/.test(stated['x-amz-signature']) ? stated : undefined;
}

function isWhole(stated: Partial<Record<Name, string>>): stated is Stated {
  return names.every((name) => name === 'x-amz-security-token' || stated[name] !== undefined);
}

function nameOf({ name }: QueryPart): string {
  return decodedName(name).toLowerCase();
}

function isNamed(part: QueryPart): boolean {
  return names.some((name) => name === nameOf(part));
}

function isMoved(part: QueryPart): boolean {
  return nameOf(part).startsWith('x-amz-') && !isNamed(part);
}

function movedFields(parts: readonly QueryPart[]): readonly Field[] | undefined {
  const moved = parts.filter(isMoved).map((part): Field => [nameOf(part), decodeOrUndefined(part.value) ?? '\n']);
  const isClear = moved.every(([name, value]) => /^x-amz-[a-z0-9-]{1,64}$/.test(name) && /^[\x20-\x7e]*$/.test(value));
  return isClear ? moved : undefined;
}

function timeFault(stated: Stated, nowMs: number): string | undefined {
  const { 'x-amz-date': date, 'x-amz-expires': seconds } = stated;
  const day = stated['x-amz-credential'].split('/')[1] ?? '';
  const [, year, month, dayOfMonth, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  const beganMs = Date.parse(`${year}-${month}-${dayOfMonth}T${hour}:${minute}:${second}Z`);
  const isClear = /^\d{1,6}$/.test(seconds) && date.startsWith(`${day}T`);
  const forMs = Number(seconds) * 1000;
  if (!isClear || Number.isNaN(beganMs) || forMs < 1000 || forMs > mostSeconds * 1000) {
    return 'the address does not say clearly how long its signature is good';
  }
  const isNow = nowMs >= beganMs - skewMs && nowMs <= beganMs + forMs;
  return isNow ? undefined : 'the signature in the address is not good any more, or not yet';
}

/** What was signed is there: an address that was made for an upload of one kind is not used for another. */
function headerFault(signed: string, fields: readonly Field[]): string | undefined {
  const wanted = signed.toLowerCase().split(';');
  const isThere = (name: string): boolean => name === 'host' || fields.some((field) => field[0] === name);
  return wanted.includes('host') && wanted.every(isThere) ? undefined : 'a header that the address was signed with is not there';
}
