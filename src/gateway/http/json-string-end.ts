/** The position in a JSON text that arrives in pieces: inside a string or not. */
export interface StringState {
  inString: boolean;
  /** the next byte belongs to a backslash */
  isEscaped: boolean;
}

const quote = 0x22;
const backslash = 0x5c;
/** Looked at one by one: a call costs more. */
const nearBytes = 64;

/** Behind the end of the string that `at` lies in, or the end of the piece. Looks at each byte at most twice. */
export function stringEnd(piece: Buffer, at: number, state: StringState): number {
  let end = -1;
  for (let from = at; ;) {
    if (state.isEscaped) {
      state.isEscaped = false;
      from += 1;
    }
    if (end < from) {
      const found = piece.indexOf(quote, from);
      end = found === -1 ? piece.length : found;
    }
    const slash = backslashIn(piece, from, end);
    if (slash === end) {
      state.inString = end === piece.length;
      return Math.min(end + 1, piece.length);
    }
    from = slash + 1;
    state.isEscaped = true;
    if (from >= piece.length) {
      return piece.length;
    }
  }
}

/** `to` where there is none. */
function backslashIn(piece: Buffer, from: number, to: number): number {
  const near = Math.min(to, from + nearBytes);
  for (let at = from; at < near; at += 1) {
    if (piece[at] === backslash) {
      return at;
    }
  }
  const found = near === to ? -1 : piece.subarray(near, to).indexOf(backslash);
  return found === -1 ? to : near + found;
}
