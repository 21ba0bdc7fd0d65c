import { valuesOf, type Field } from '../http/fields.ts';
import type { BodyStep } from '../bodies/body-steps.ts';
import type { InjectResult, Placing } from './placing.ts';
import { jsonMembers } from '../http/json-members.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import { maskWhole } from '../secrets/secret-search.ts';
import { hasTooManyParts, isSameName } from '../http/query.ts';
import { refuse, type RefusalReason } from '../refusal.ts';
import { placeForParameter } from '../http/replace-parameter.ts';

/**
 * Puts the credential into one member of a JSON object or one field of a form. The content is read whole first and refused if
 * two programs could read it in two ways: what the caller meant must be what the upstream sees.
 */
const maxBytes = 1024 * 1024;
/** Each is looked at, in time that all sandboxes share. */
const mostMembers = 2048;

interface Place {
  readonly before: string;
  readonly after: string;
  /** the value as it is written there */
  readonly value: string;
}

export async function injectBody({ input, credential, kept }: Placing, field: string, secret: string): Promise<InjectResult> {
  const form = formOf(kept);
  if (form === undefined) {
    return refused(
      'content-not-readable',
      `${input.host} takes its key in the content, which must be JSON or a form, not compressed`,
    );
  }
  if (input.content === undefined) {
    return refused(
      'content-not-readable',
      `${input.host} takes its key in the field "${field}" of the content, and there is none`,
    );
  }
  const raw = await input.content.read(maxBytes);
  if (!Buffer.isBuffer(raw)) {
    return { ok: false, refusal: raw };
  }
  const text = utf8(raw);
  const phantoms = credential.phantoms();
  const place =
    text === undefined
      ? undefined
      : form === 'json'
        ? inJson(text, { field, phantoms, secret })
        : inForm(text, { field, phantoms, secret });
  if (place === undefined) {
    return refused(
      'content-not-readable',
      `the content is not well-formed ${form === 'json' ? 'JSON with one object' : 'UTF-8 form data'}`,
    );
  }
  if (place === 'foreign') {
    return refused(
      'foreign-key',
      `the field "${field}" of the content holds a key that is not this sandbox's own, or stands there twice`,
    );
  }
  return outgoing({ kept, target: input.target }, place, { secret, phantoms: input.phantoms });
}

/** `json` and `form` in plain UTF-8; `undefined` for all else. */
function formOf(fields: readonly Field[]): 'json' | 'form' | undefined {
  const [type = '', ...more] = valuesOf(fields, 'content-type');
  const coding = valuesOf(fields, 'content-encoding').join().trim().toLowerCase();
  const match = /^\s*([\w.+/-]+)\s*(?:;\s*charset="?utf-8"?\s*)?$/i.exec(type)?.[1]?.toLowerCase();
  if (more.length > 0 || match === undefined || (coding !== '' && coding !== 'identity')) {
    return undefined;
  }
  return match === 'application/json' || /^application\/[\w.-]+\+json$/.test(match)
    ? 'json'
    : match === 'application/x-www-form-urlencoded'
      ? 'form'
      : undefined;
}

function utf8(raw: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return undefined;
  }
}

interface Wanted {
  readonly field: string;
  readonly phantoms: readonly string[];
  readonly secret: string;
}

function inJson(text: string, { field, phantoms, secret }: Wanted): Place | 'foreign' | undefined {
  const members = jsonMembers(text);
  if (members === undefined || members.length > mostMembers || new Set(members.map(({ name }) => name)).size !== members.length) {
    return undefined;
  }
  const value = JSON.stringify(secret);
  // Some decoders take names in any case, and the last one wins.
  const [own, ...more] = members.filter(({ name }) => isSameName(name, field));
  if (own === undefined) {
    const end = text.lastIndexOf('}');
    const comma = members.length === 0 ? '' : ',';
    return { before: `${text.slice(0, end)}${comma}${JSON.stringify(field)}:`, value, after: text.slice(end) };
  }
  const held: unknown = JSON.parse(text.slice(own.start, own.end));
  const isOurs = own.name === field && more.length === 0 && typeof held === 'string' && phantoms.includes(held);
  return isOurs ? { before: text.slice(0, own.start), value, after: text.slice(own.end) } : 'foreign';
}

function inForm(text: string, { field, phantoms, secret }: Wanted): Place | 'foreign' | undefined {
  if (hasTooManyParts(text)) {
    return undefined;
  }
  const found = placeForParameter(text, { parameter: field, phantoms });
  if (!found.ok) {
    return found.fault === 'foreign' ? 'foreign' : undefined;
  }
  return { before: found.before, value: encodeURIComponent(secret), after: found.after };
}

function outgoing(
  { kept, target }: { readonly kept: readonly Field[]; readonly target: string },
  { before, value, after }: Place,
  { secret, phantoms }: { readonly secret: string; readonly phantoms: readonly string[] },
): InjectResult {
  const at = Buffer.byteLength(before);
  const { bytes: whole, isMasked } = maskWhole(Buffer.from(before + after), phantomSearch(phantoms));
  const length = whole.length + Buffer.byteLength(value);
  const fields: Field[] = [...kept.filter(([name]) => name !== 'content-length'), ['content-length', String(length)]];
  // What looks into the content on its way sees it without the credential; that comes in last.
  return {
    ok: true,
    outgoing: { target, fields, secret, content: whole, isMasked, step: insertAt(at, Buffer.from(value)) },
  };
}

/** Puts `value` in after `at` bytes. */
function insertAt(at: number, value: Buffer): BodyStep {
  let passed = 0;
  let isDone = false;
  const push = (piece: Buffer): Buffer => {
    const start = passed;
    passed += piece.length;
    if (isDone || passed < at) {
      return piece;
    }
    isDone = true;
    return Buffer.concat([piece.subarray(0, at - start), value, piece.subarray(at - start)]);
  };
  return { push, finish: () => (isDone ? Buffer.alloc(0) : push(Buffer.alloc(0))) };
}

function refused(reason: RefusalReason, message: string): InjectResult {
  return { ok: false, refusal: refuse(reason, message) };
}
