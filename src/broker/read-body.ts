import type { z } from 'zod';

import { readStrictJson } from '../base/strict-json.ts';
import { visible } from '../base/text.ts';
import { malformed, notOffered } from './refusal.ts';

/** Parses the bytes of a request body. Unknown content is refused: nothing is passed on unread. */

/** `undefined` for no bytes at all. Throws a refusal for a key that is written twice, is unknown, or says too much. */
export function readBody<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.output<S> {
  // Clients send `null` and `{}` where they mean nothing.
  const value = bytes.length === 0 ? {} : readStrictJson(bytes);
  if (value === undefined) {
    throw malformed('the body is not one JSON document, or repeats a key');
  }
  return checked(schema, value ?? {}, 'the body');
}

export function checked<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? what : issue.path.map(String).join('.');
  if (issue?.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => visible(key).slice(0, 64)).join(', ');
    throw malformed(`${visible(place)} has keys that are not known here: ${names.slice(0, 300)}`);
  }
  const text = `${visible(place).slice(0, 200)} ${issue?.message ?? 'is not valid'}`;
  throw issue?.code === 'custom' ? notOffered('confinement', text) : malformed(text);
}
