/**
 * Reads only JSON (RFC 8259) that every parser reads alike. Parsers differ on repeated keys, and some (Go's) ignore the case of
 * keys: such a text could be judged here by one value and carried out elsewhere by another.
 */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** `undefined`: not valid UTF-8, not JSON, nested too deep, with too many keys or parts, or with a repeated key anywhere. */
export function readStrictJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    // `ignoreBOM` keeps a byte order mark in the text, where JSON does not allow it.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    // First, so that a flood of keys costs no more than looking at it.
    if (hasRepeatedKey(text)) {
      return undefined;
    }
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** `JSON.parse` makes nothing else. */
function isJson(value: unknown): value is JsonValue {
  return value !== undefined;
}

const maxDepth = 128;
/** All keys of a text together. */
const maxKeys = 20_000;
/** Strings and signs together: each costs time that everybody in this process shares. */
const maxTokens = 250_000;
/** A quote alone begins a string that does not end: to go on would be to look through the rest again from each quote in it. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|["{}[\]:,]/g;

/** In valid JSON a string before a colon is a key of the innermost object; throws for some texts that are not JSON. */
function hasRepeatedKey(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  let count = 0;
  let seen = 0;
  const isTooMuch = (): boolean => seen > maxTokens || count > maxKeys || open.length > maxDepth;
  for (const [token] of text.matchAll(tokens)) {
    seen += 1;
    if (token === '"' || isTooMuch()) {
      return true;
    }
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined);
    } else if (token === '}' || token === ']') {
      open.pop();
    } else if (token === ':') {
      const keys = open.at(-1);
      const key = String(JSON.parse(last));
      count += 1;
      if (keys === undefined || keys.has(key)) {
        return true;
      }
      keys.add(key);
    }
    last = token;
  }
  return false;
}

export type JsonObject = { readonly [key: string]: JsonValue };

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether a reader that takes keys in any case would find the same: every key is ASCII, and one that is a known name in
 * other case is not there.
 */
export function hasPlainKeys(object: JsonObject, known: readonly string[]): boolean {
  return Object.keys(object).every((key) => {
    const lowered = key.toLowerCase();
    return /^[\x20-\x7e]*$/.test(key) && known.every((name) => name === key || name.toLowerCase() !== lowered);
  });
}
