/**
 * Reads JSON that others wrote without trusting its shape: a value that is missing or of another type is `undefined` or empty.
 */
export type JsonFields = Readonly<Record<string, unknown>>;

/** `undefined`: not JSON. For what is judged by its content there is `readStrictJson`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Without fields where the value is no object. */
export function asObject(value: unknown): JsonFields {
  return isJsonObject(value) ? value : {};
}

/** Empty where the value is no text. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
