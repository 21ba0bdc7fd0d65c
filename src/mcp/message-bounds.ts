/** What a message of a caller may look like, beside its length: one of many small parts takes seconds to be judged, in which nobody else is answered. */

/** of values and members; a command of 4096 words and a batch of a hundred calls have fewer */
const mostParts = 10_000;
const mostDepth = 64;
/** The protocol's libraries keep and repeat these as often as they are needed. */
const longestId = 256;

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
/** What each byte does to the depth outside of texts: `{`, `[`, `}`, `]`. */
const steps = new Map([
  [0x7b, 1],
  [0x5b, 1],
  [0x7d, -1],
  [0x5d, -1],
]);

/** Of a text of JSON, before it is parsed; what is no JSON is for the parser to say. `undefined`: it may be parsed. */
export function shapeFault(text: Buffer): string | undefined {
  let parts = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] ?? 0;
    const step = steps.get(byte) ?? 0;
    if (byte === quote) {
      at = endOfText(text, at);
    }
    parts += Number(byte === comma || step > 0);
    depth += step;
    if (depth > mostDepth) {
      return `a message is ${mostDepth} levels deep at most`;
    }
    if (parts > mostParts) {
      return `a message has ${mostParts} parts at most`;
    }
  }
  return undefined;
}

/** The place of the quote that ends it. */
function endOfText(text: Buffer, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === backslash) {
      at += 1;
    } else if (text[at] === quote) {
      return at;
    }
  }
  return text.length;
}

/** Of a message, or of a batch of them. */
export function idFault(value: unknown): string | undefined {
  const isLong = (Array.isArray(value) ? value : [value]).some((message: unknown) =>
    [
      within(message, ['id']),
      within(message, ['params', '_meta', 'progressToken']),
      within(message, ['params', 'requestId']),
    ].some((id) => typeof id === 'string' && id.length > longestId),
  );
  return isLong ? `an id and a progress token are ${longestId} characters at most` : undefined;
}

function within(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === 'object' && at !== null ? Object.getOwnPropertyDescriptor(at, name)?.value : undefined),
    value,
  );
}
