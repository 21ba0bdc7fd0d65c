import { CasemateError } from '../../base/errors.ts';
import type { Secret } from '../credential.ts';
import { secret } from '../secret.ts';

/** What a credential's value may look like, whatever its source. No error from this file holds the value. */

export const maxValueBytes = 64 * 1024;

/**
 * Printable ASCII without outer spaces: anything else is either not one value or cannot stand in a header (RFC 9110, 5.5).
 * Throws `CREDENTIAL_UNAVAILABLE`; `where` names the source in it.
 */
export function checkedValue(value: string, where: string): Secret {
  if (value === '') {
    throw unavailable(`${where} is empty`);
  }
  if (value.length > maxValueBytes) {
    throw unavailable(`the value of ${where} is longer than ${maxValueBytes} bytes`);
  }
  if (!/^[\u0020-\u007e]+$/.test(value)) {
    throw unavailable(
      `the value of ${where} holds line feeds, control characters or letters outside ASCII`,
      'It must be the bare credential and nothing else.',
    );
  }
  if (value.trim() !== value) {
    throw unavailable(`the value of ${where} begins or ends with a space`);
  }
  return secret(value);
}

export function withoutLastLineFeed(text: string): string {
  return text.replace(/\r?\n$/, '');
}

export function unavailable(message: string, hint?: string): CasemateError {
  return new CasemateError('CREDENTIAL_UNAVAILABLE', message, { hint });
}
