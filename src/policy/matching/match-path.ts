/** Globs over request paths: `*` within a segment, `**` across segments. Compiled once, matched without backtracking. */

/** A character code, or one of the two stars. */
export type GlobToken = number;
export const star: GlobToken = -1;
export const globstar: GlobToken = -2;

const slash = 0x2f;

export interface PathGlob {
  readonly source: string;
  readonly tokens: readonly GlobToken[];
}

/** Reads a glob that `readGlob` of the schema has accepted. */
export function compileGlob(source: string): PathGlob {
  const tokens: GlobToken[] = [];
  for (let index = 0; index < source.length; index += 1) {
    if (source[index] !== '*') {
      tokens.push(source.charCodeAt(index));
    } else if (source[index + 1] === '*') {
      tokens.push(globstar);
      index += 1;
    } else {
      tokens.push(star);
    }
  }
  return { source, tokens };
}

/**
 * Whether a canonical path matches as a whole. Time is length of path times length of glob, whatever they hold: all
 * positions of the glob are tried at once (Thompson, CACM 1968), so there is nothing to backtrack into.
 */
export function matchPath(glob: PathGlob, path: string): boolean {
  let active = followStars(glob.tokens, [0]);
  for (let index = 0; index < path.length && active.length > 0; index += 1) {
    active = step(glob.tokens, active, path.charCodeAt(index));
  }
  return active.at(-1) === glob.tokens.length;
}

/** Positions after one character, ascending, stars skipped where they may match nothing. */
export function step(tokens: readonly GlobToken[], active: readonly number[], character: number): number[] {
  const next: number[] = [];
  for (const position of active) {
    const token = tokens[position];
    if (token === globstar || (token === star && character !== slash)) {
      next.push(position);
    } else if (token === character) {
      next.push(position + 1);
    }
  }
  return followStars(tokens, next);
}

/** Adds what can be reached without a character. In and out are ascending and without repetition. */
export function followStars(tokens: readonly GlobToken[], positions: readonly number[]): number[] {
  const result: number[] = [];
  for (let position of positions) {
    if (position <= (result.at(-1) ?? -1)) {
      continue;
    }
    result.push(position);
    while (tokens[position] === star || tokens[position] === globstar) {
      position += 1;
      result.push(position);
    }
  }
  return result;
}
