/** How much an answer holds, in characters, about: what it takes to tell it, and to keep it. */

/** as long as the output of a command that says nothing of it */
const usualAnswer = 64 * 1024;

export function charactersIn(value: unknown): number {
  if (typeof value === 'string') {
    return value.length;
  }
  if (typeof value !== 'object' || value === null) {
    return 8;
  }
  return Object.values(value).reduce((sum: number, part) => sum + charactersIn(part), 0);
}

/** How many usual answers one of that many characters is worth beside the first. */
export function moreAnswers(characters: number): number {
  return Math.max(0, Math.ceil(characters / usualAnswer) - 2);
}
