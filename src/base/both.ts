/** One after the other; mostly one of them is empty, and nothing is copied. */
export function both(first: Buffer, rest: Buffer): Buffer {
  return rest.length === 0 ? first : first.length === 0 ? rest : Buffer.concat([first, rest]);
}
