import { parseJson } from '../../base/json.ts';

/**
 * The members at the top of a JSON object with their places in the text, so that one value can be replaced and everything else
 * stays the same.
 */
export interface JsonMember {
  readonly name: string;
  /** of the value, in UTF-16 units */
  readonly start: number;
  readonly end: number;
}

/** `undefined` unless the text is one JSON object (RFC 8259). Linear in its length. */
export function jsonMembers(text: string): readonly JsonMember[] | undefined {
  const parsed = parseJson(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return undefined;
  }
  return scan(text);
}

/** The text is known to be valid, so only strings and nesting have to be told apart. */
function scan(text: string): readonly JsonMember[] {
  const members: JsonMember[] = [];
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const nameEnd = stringEnd(text, at);
    const name: unknown = JSON.parse(text.slice(at, nameEnd));
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = valueEnd(text, start);
    members.push({ name: String(name), start, end });
    at = skipSpace(text, end);
    at = text[at] === ',' ? skipSpace(text, at + 1) : text.length;
  }
  return members;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') {
    at += 1;
  }
  return at;
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') {
    at += text[at] === '\\' ? 2 : 1;
  }
  return at + 1;
}

/** A value ends where nesting is back to none: behind its last quote or bracket, or before what parts it from the next. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  let at = start;
  for (;;) {
    const letter = text[at] ?? '';
    if (depth === 0 && (letter === '' || endsPlain.has(letter))) {
      return at;
    }
    at = letter === '"' ? stringEnd(text, at) : at + 1;
    depth += nesting[letter] ?? 0;
  }
}

/** What follows a number, `true`, `false`, `null`, or a value that has just been closed. */
const endsPlain = new Set([',', '}', ']', ' ', '\n', '\r', '\t']);
const nesting: Readonly<Record<string, number>> = { '{': 1, '[': 1, '}': -1, ']': -1 };
