import { isUtf8 } from 'node:buffer';

/** Which parts of a text would control a terminal. Written independently of the code with which the product makes text safe. */

/** Of our own lines: their ends, a line that is written again, the moves of a question that is answered. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const ownMoves = /\r+\n|\r?\u001B\[(?:2?K|\d{1,3}G|0?J)/g;

/** Unicode controls, and what reorders or hides: bidirectional, zero-width, separators (UAX 9; CWE-150, CVE-2021-42574). */
const driving = /\p{Cc}|\p{Default_Ignorable_Code_Point}(?<!\p{Mn}|\p{Lo})|\p{Bidi_Control}|[\u2028\u2029\uFFF9-\uFFFB]/u;

/** Each piece once, as an escape with what follows it. Line feeds and tabs are none; bytes that are no UTF-8 are. */
export function drivingPieces(shown: Buffer): readonly string[] {
  const characters = Array.from(shown.toString(isUtf8(shown) ? 'utf8' : 'latin1').replaceAll(ownMoves, ''));
  const found = characters.flatMap((character, index) =>
    driving.test(character) && character !== '\n' && character !== '\t'
      ? [
          characters
            .slice(index, index + 8)
            .map(escaped)
            .join(''),
        ]
      : [],
  );
  return [...new Set(found)];
}

function escaped(character: string): string {
  return /^[ -~]$/.test(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
