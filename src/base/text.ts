/** Makes text from a sandbox, a project or a network peer safe to show on a terminal. */

/**
 * Every character that can drive a terminal, or reorder or hide what a person reads: controls (C0, C1, DEL), all of Unicode's
 * format characters (bidirectional, zero-width, shaping, tags, the byte order mark), line and paragraph separators, halves of
 * characters (UAX 9; CWE-150, CVE-2021-42574).
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u2060-\u206f]/gu;

/** One line of text in which every unsafe character is shown as an escape such as `\x1b` or `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Like `visible`, but keeps line feeds and tabs: for text of several lines. */
export function visibleLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.split('\t').map(visible).join('\t'))
    .join('\n');
}

/** A value as one line of JSON in which no character can drive a terminal. */
export function visibleJson(value: unknown): string {
  return terminalSafeJson(JSON.stringify(value));
}

/**
 * JSON with every character escaped that can drive a terminal: the same value, safe to show. Unlike `visible` it can be read
 * back.
 */
export function terminalSafeJson(json: string): string {
  return json.replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\u2060-\u206f]/gu, (character) =>
    Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );
}

/** The candidate nearest to `word` by edit distance, if it is near enough to be a likely misspelling. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
