import { createHash } from 'node:crypto';

import canonicalize from 'canonicalize';

import { CasemateError } from '../base/errors.ts';
import type { Policy } from './policy.ts';

/** The identity of plain data: SHA-256 over its canonical JSON (RFC 8785). The same data has the same hash on every machine. */

/** 64 hex digits. Members that are `undefined` count as absent. Throws `INTERNAL` for what is not plain data. */
export function sha256Of(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new CasemateError('INTERNAL', 'cannot hash what is not plain data');
  }
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** The hash that the journal and approvals name a policy by. Origins are part of it: a moved line is another policy. */
export function hashPolicy(policy: Policy): string {
  return sha256Of(policy);
}
