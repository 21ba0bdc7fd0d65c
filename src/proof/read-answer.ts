/** Reads answers from inside: either of the expected form, or a fault that makes the probe inconclusive. */

class UnreadableAnswer extends Error {
  override readonly name = 'UnreadableAnswer';
}

export function textMap(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnreadableAnswer('a table of texts was expected');
  }
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, text(entry)]));
}

export function textList(value: unknown): readonly string[] {
  if (!Array.isArray(value)) {
    throw new UnreadableAnswer('a list of texts was expected');
  }
  return value.map(text);
}

export function rowList(value: unknown): readonly Readonly<Record<string, string>>[] {
  if (!Array.isArray(value)) {
    throw new UnreadableAnswer('a list of rows was expected');
  }
  return value.map(textMap);
}

/** Numbers count as their decimal text: the program inside does not tell them apart. */
export function text(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') {
    return String(value);
  }
  throw new UnreadableAnswer('a text was expected');
}
