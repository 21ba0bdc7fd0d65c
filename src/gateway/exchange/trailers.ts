import type { BoundCredential } from '../../credentials/credential.ts';
import { identityNames } from '../injection/identity.ts';
import { isRewriting } from './rewriting.ts';
import { foldedField, forwardedRequestFields, forwardedResponseFields, type Field } from '../http/fields.ts';
import { maskFields, type Needles } from '../secrets/mask.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import { secretIn } from '../secrets/secret-search.ts';

/**
 * Trailer fields (RFC 9110 section 6.5), which gRPC needs in both directions. They arrive after the request has been judged and
 * sent, so they may not say who asks, how the message is framed, or how to read it.
 */

/** Section 6.5.1: framing, routing, conditions, authentication, and what says how the content is to be read. */
const neverBehind =
  /^(?:content-|if-|authorization$|authentication-|www-authenticate$|cookie$|set-cookie|x-api-key$|api-key$|x-goog-api-key$|x-amz-security-token$|private-token$|proxy-|sec-|cache-control$|range$|max-forwards$|age$|date$|expires$|location$|retry-after$|vary$|warning$|pragma$)/;

/** `undefined`: one of them claims an identity or holds a key of the sandbox, so the request is broken off. */
export function requestTrailers(
  fields: readonly Field[],
  { credential, phantoms }: { readonly credential: BoundCredential | undefined; readonly phantoms: readonly string[] },
): readonly Field[] | undefined {
  const isIdentity = identityNames(credential);
  const set = phantomSearch(phantoms);
  const isForeign = ([name, value]: Field): boolean =>
    isIdentity(name) ||
    neverBehind.test(foldedField(name)) ||
    isRewriting(name) ||
    secretIn(`${name}: ${value}`, set) !== undefined;
  return fields.some(isForeign) ? undefined : forwardedRequestFields(fields);
}

/** Those that may go back, searched for the secret. */
export function answerTrailers(fields: readonly Field[], needles: Needles): readonly Field[] {
  if (fields.length === 0) {
    return fields;
  }
  const kept = forwardedResponseFields(fields).filter(([name]) => !neverBehind.test(name));
  return maskFields(kept, needles);
}
