/**
 * The same text in memory of its own. A part of a longer text keeps all of that alive (V8's sliced strings): a path of a
 * request its whole head, a file name the whole index. For what is kept longer than what it was taken from.
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}
