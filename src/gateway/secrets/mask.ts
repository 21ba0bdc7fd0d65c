import { passWhole, type BodyStep } from '../bodies/body-steps.ts';
import type { Field } from '../http/fields.ts';
import { eachFound, needleSet, type NeedleSet } from './needle-search.ts';

/**
 * Replaces secrets in a stream of bytes by as many asterisks, so that lengths and `Content-Length` stay the same. It holds back
 * only the longest tail that may be the start of a secret, so that events are not delayed.
 */
export interface Mask extends BodyStep {
  /** how often something was replaced */
  readonly hits: () => number;
}

const asterisk = 0x2a;
const nothing = Buffer.alloc(0);

/** What is searched for, made ready once for many streams. */
export interface Needles {
  readonly sought: readonly Buffer[];
  /** the same as text, a character for each byte */
  readonly texts: readonly string[];
  /** the same for content; made when it is first asked for */
  readonly set: () => NeedleSet;
}

export const noNeedles: Needles = prepareNeedles([]);

/** A needle that holds another one is found by it, and left out. */
export function prepareNeedles(needles: readonly Buffer[]): Needles {
  const unique = [...new Map(needles.map((needle) => [needle.toString('latin1'), needle])).values()].filter(
    (needle) => needle.length > 0,
  );
  const sought = unique.filter((needle) => !unique.some((other) => other !== needle && needle.includes(other)));
  let set: NeedleSet | undefined;
  return {
    sought,
    texts: sought.map((needle) => needle.toString('latin1')),
    set: () => (set ??= needleSet(sought.map((bytes) => ({ bytes, label: '' })))),
  };
}

const joined = new WeakMap<Needles, { readonly more: readonly Needles[]; readonly all: Needles }>();

/** Those of several secrets. They are mostly the same ones as before. */
export function joinNeedles([first, ...more]: readonly Needles[]): Needles {
  if (first === undefined || more.length === 0) {
    return first ?? noNeedles;
  }
  const known = joined.get(first);
  if (known?.more.length === more.length && known.more.every((one, index) => one === more[index])) {
    return known.all;
  }
  const all = prepareNeedles([first, ...more].flatMap(({ sought }) => sought));
  joined.set(first, { more, all });
  return all;
}

/** The needle that comes first wins. `push` and `whole` may write into the piece they are given. */
export function createMask(needles: Needles): Mask {
  const set = needles.set();
  let held = nothing;
  let hits = 0;
  const hide = (data: Buffer): number =>
    eachFound(data, set, ({ at, length }) => {
      data.fill(asterisk, at, at + length);
      hits += 1;
      return true;
    });
  return {
    push(piece) {
      const data = held.length === 0 ? piece : Buffer.concat([held, piece]);
      const end = set.partialAt(data, hide(data));
      // A copy: the piece may be written over by whoever gave it.
      held = end === data.length ? nothing : Buffer.from(data.subarray(end));
      return end === data.length ? data : data.subarray(0, end);
    },
    finish() {
      const rest = held;
      held = nothing;
      return rest;
    },
    whole(content) {
      if (content.length >= set.shortest) {
        hide(content);
      }
      return content;
    },
    hits: () => hits,
  };
}

/** The same for a short text, such as the value of a header. */
export function maskText(text: string, needles: Needles): string {
  // Most texts hold none. A character beyond a byte is none of a header; it is looked at as it would be sent.
  if (needles.texts.length === 0 || (!needles.texts.some((needle) => text.includes(needle)) && isBytes(text))) {
    return text;
  }
  const mask = createMask(needles);
  const masked = passWhole(mask, Buffer.from(text, 'latin1'));
  return mask.hits() === 0 ? text : masked.toString('latin1');
}

/** The same for the values of many fields: mostly none of them holds one, so all are looked at together first. */
export function maskFields(fields: readonly Field[], needles: Needles): readonly Field[] {
  if (needles.texts.length === 0) {
    return fields;
  }
  let all = '';
  for (const field of fields) {
    all += `${field[1]}\n`;
  }
  return maskText(all, needles) === all ? fields : fields.map(([name, value]): Field => [name, maskText(value, needles)]);
}

function isBytes(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- bytes of any value
  return !/[^\u0000-\u00ff]/.test(text);
}
