/**
 * Queries and forms as raw bytes, for the one parameter that holds a credential. Servers read them in several ways, so names are
 * compared as the most lenient server would, and what can be read in two ways is refused.
 */
export interface QueryPart {
  /** as written, `name=value` or `name` */
  readonly text: string;
  /** as written, before the first `=` */
  readonly name: string;
  /** as written, after the first `=`; empty where there is none */
  readonly value: string;
  /** behind a semicolon, which some servers read as a separator and others do not */
  readonly isDoubtful: boolean;
}

/** The parts of the query of a request target, in order. */
export function queryParts(target: string): readonly QueryPart[] {
  const start = target.indexOf('?');
  return start === -1 ? [] : formParts(target.slice(start + 1));
}

/** The parts of `a=1&b=2`; those a server may see behind a `;` come as well, marked. */
export function formParts(text: string): readonly QueryPart[] {
  return text === ''
    ? []
    : text.split('&').flatMap((piece) => {
        const [first = '', ...hidden] = piece.split(';');
        return hidden.length === 0
          ? [partOf(piece, false)]
          : [partOf(piece, false), ...[first, ...hidden].slice(1).map((one) => ({ ...partOf(one, true) }))];
      });
}

/** More than this is no request of anybody's: each part costs time to look at, which all sandboxes share. */
const mostParts = 2048;

/** Whether a query or a form has more parts than are looked at; asked before `formParts`, which makes something of each. */
export function hasTooManyParts(text: string): boolean {
  if (text.length < mostParts) {
    return false;
  }
  let count = 0;
  for (const _ of text.matchAll(/[&;]/g)) {
    count += 1;
    if (count >= mostParts) {
      return true;
    }
  }
  return false;
}

/**
 * Clear values of one parameter of a form of any length, its name in any case and escapes; at most `most` of them. Nothing
 * is made of the other parts.
 */
export function valuesOfParameter(text: string, name: string, most: number): readonly string[] {
  const letters = Array.from(name, (letter) => `(?:${letter}|${escapeOf(letter)}|${escapeOf(letter.toUpperCase())})`);
  const form = new RegExp(`(?:^|[&;])${letters.join('')}(?:=([^&;]*))?(?=[&;]|$)`, 'gi');
  const values: string[] = [];
  for (const [, value = ''] of text.matchAll(form)) {
    values.push(decodedName(value));
    if (values.length >= most) {
      break;
    }
  }
  return values;
}

function escapeOf(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`;
}

function partOf(text: string, isDoubtful: boolean): QueryPart {
  const at = text.indexOf('=');
  return { text, name: at === -1 ? text : text.slice(0, at), value: at === -1 ? '' : text.slice(at + 1), isDoubtful };
}

/** A name in clear text; escapes that are none stay as they are, and hide none of the others from a lenient server. */
export function decodedName(name: string): string {
  return decodeOrUndefined(name) ?? name.replaceAll('+', ' ').replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) => letterOf(hex));
}

function letterOf(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

/** Clear text of `application/x-www-form-urlencoded`; `undefined` where an escape is broken or the text no UTF-8. */
export function decodeOrUndefined(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** Whether a lenient server may take both for one name: case, `a.b` for `a_b` (PHP), `a[]` and `a[0]` for `a`. */
export function isSameName(a: string, b: string): boolean {
  return foldedName(a) === foldedName(b);
}

/** The form in which names are compared: lower case, signs as `_`, no brackets. */
export function foldedName(name: string): string {
  return name
    .normalize('NFKC')
    .trim()
    .replace(/(?<=.)\[.*$/s, '')
    .replaceAll(/[^\p{L}\p{N}]/gu, '_')
    .toLowerCase();
}
