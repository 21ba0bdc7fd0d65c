import { followStars, globstar, star, step, type GlobToken, type PathGlob } from './match-path.ts';

/** Whether every path of one glob is a path of some other glob: what "may only narrow" means for functions. */

/** Pairs looked at before giving up. Giving up answers "not included", which can refuse too much and never too little. */
const maxPairs = 4_000;

/** Stands for all characters that occur in none of the globs: they behave alike. */
const otherCharacter = 0x10ffff;

/** Walks both sides character by character: one position of `inner` against all positions of `outers` at once. */
export function isIncluded(inner: PathGlob, outers: readonly PathGlob[]): boolean {
  if (outers.some((outer) => outer.source === inner.source)) {
    return true;
  }
  const alphabet = alphabetOf([inner, ...outers]);
  const start = outers.map((outer) => followStars(outer.tokens, [0]));
  const queue: Pair[] = followStars(inner.tokens, [0]).map((position) => ({ position, others: start }));
  const seen = new Set(queue.map(keyOf));
  for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
    if (
      pair.position === inner.tokens.length &&
      !outers.some((outer, index) => pair.others[index]?.at(-1) === outer.tokens.length)
    ) {
      return false;
    }
    for (const next of successors(pair, { inner, outers, alphabet })) {
      const key = keyOf(next);
      if (!seen.has(key)) {
        seen.add(key);
        queue.push(next);
      }
    }
    if (seen.size > maxPairs) {
      return false;
    }
  }
  return true;
}

interface Pair {
  readonly position: number;
  readonly others: readonly (readonly number[])[];
}

interface Walk {
  readonly inner: PathGlob;
  readonly outers: readonly PathGlob[];
  readonly alphabet: readonly number[];
}

function successors(pair: Pair, { inner, outers, alphabet }: Walk): Pair[] {
  return alphabet.flatMap((character) => {
    const positions = step(inner.tokens, [pair.position], character);
    if (positions.length === 0) {
      return [];
    }
    const others = outers.map((outer, index) => step(outer.tokens, pair.others[index] ?? [], character));
    return positions.map((next): Pair => ({ position: next, others }));
  });
}

function alphabetOf(globs: readonly PathGlob[]): number[] {
  const isCharacter = (token: GlobToken): boolean => token !== star && token !== globstar;
  return [...new Set([...globs.flatMap((glob) => glob.tokens.filter(isCharacter)), '/'.charCodeAt(0), otherCharacter])];
}

function keyOf(pair: Pair): string {
  return `${pair.position}|${pair.others.map((positions) => positions.join(',')).join('|')}`;
}
