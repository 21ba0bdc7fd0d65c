/** Long content put together in turns; of the bytes between two of them. */
const copiedBytes = 256 * 1024;

/** As `Buffer.concat`, for `inTurns`: that takes a tenth of a second for the largest. */
export function* joined(parts: readonly Buffer[]): Generator<void, Buffer, void> {
  const whole = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length; from += copiedBytes) {
      at += part.copy(whole, at, from, from + copiedBytes);
      yield;
    }
  }
  return whole;
}
