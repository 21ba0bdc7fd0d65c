import { noNeedles, prepareNeedles, type Needles } from './mask.ts';

/** The forms in which a secret may come back: itself, escaped, and inside base64 or hexadecimal text. */

/** Shorter values are not searched for: they would be found by chance. */
const shortest = 8;

export function needlesOf(value: string): Needles {
  if (value.length < shortest) {
    return noNeedles;
  }
  const bytes = Buffer.from(value);
  const forms = [
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...[0, 1, 2].flatMap((offset) => insideBase64(bytes, offset)),
  ];
  return prepareNeedles(forms.map((form) => Buffer.from(form)));
}

/** The part of the base64 text that depends on the secret alone, when it starts `offset` bytes after a group of three. */
function insideBase64(bytes: Buffer, offset: number): readonly string[] {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const start = Math.ceil((offset * 8) / 6);
  const end = Math.floor(((offset + bytes.length) * 8) / 6);
  const core = text.slice(start, end);
  return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
}

/** The same, remembered for the secrets seen last: they are the same ones for every request. */
export function createNeedleCache(kept = 16): (value: string) => Needles {
  const known = new Map<string, Needles>();
  return (value) => {
    const needles = known.get(value) ?? needlesOf(value);
    const [oldest] = known.keys();
    if (!known.has(value) && known.size >= kept && oldest !== undefined) {
      known.delete(oldest);
    }
    known.set(value, needles);
    return needles;
  };
}
