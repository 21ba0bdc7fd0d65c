/** One word of an order to a program of ours: what could end it, or the line that it stands in, is percent-escaped. */
export function orderWord(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const character = String.fromCodePoint(byte);
      return /[\w./-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
