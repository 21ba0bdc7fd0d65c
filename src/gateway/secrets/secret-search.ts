import { passWhole, type BodyStep } from '../bodies/body-steps.ts';
import { escapedParts, withoutEscapes } from './escaped-parts.ts';
import { eachFound, type NeedleSet } from './needle-search.ts';

/**
 * Searches outgoing content for known secrets. It either breaks the content off before the first one has passed, or masks each.
 */
export interface SecretSearchOptions {
  readonly needles: NeedleSet;
  readonly mode: 'refuse' | 'mask';
  /** called once for each label that is found */
  readonly onFound: (label: string) => void;
}

const asterisk = 0x2a;
const nothing = Buffer.alloc(0);

/** In the mode `refuse` nothing goes on after the first find: what is pushed then is dropped. May write into its pieces. */
export function createSecretSearch({ needles, mode, onFound }: SecretSearchOptions): BodyStep {
  let held = nothing;
  let isStopped = false;
  const labels = new Set<string>();
  const tell = (label: string): void => {
    if (!labels.has(label)) {
      labels.add(label);
      onFound(label);
    }
  };
  /** False: nothing goes on any more. */
  const take = (data: Buffer, label: string, [from, to]: readonly [number, number]): boolean => {
    tell(label);
    isStopped = mode === 'refuse';
    if (!isStopped) {
      data.fill(asterisk, from, to);
    }
    return !isStopped;
  };
  /** Where what may go on ends; `isWhole`: nothing follows. */
  const search = (data: Buffer, isWhole: boolean): number => {
    const from = eachFound(data, needles, ({ at, length, label }) => take(data, label, [at, at + length]));
    let end = isStopped ? 0 : isWhole ? data.length : needles.partialAt(data, from);
    for (const { bytes, placeOf, isLast } of isStopped ? [] : escapedParts(data, needles.longest)) {
      const next = eachFound(bytes, needles, ({ at, length, label }) => take(data, label, [placeOf(at), placeOf(at + length)]));
      if (isStopped) {
        return 0;
      }
      end = isLast && !isWhole ? Math.min(end, placeOf(needles.partialAt(bytes, next))) : end;
    }
    return end;
  };
  return {
    push(piece) {
      if (isStopped || piece.length === 0) {
        return nothing;
      }
      const data = held.length === 0 ? piece : Buffer.concat([held, piece]);
      const end = search(data, false);
      // A copy: the piece may be written over by whoever gave it.
      held = end === data.length || isStopped ? nothing : Buffer.from(data.subarray(end));
      return end === data.length ? data : data.subarray(0, end);
    },
    finish() {
      const rest = held;
      held = nothing;
      return isStopped ? nothing : rest;
    },
    whole(content) {
      // What undoes an escape makes it shorter.
      if (!isStopped && content.length >= needles.shortest) {
        search(content, true);
      }
      return isStopped ? nothing : content;
    },
  };
}

/**
 * The label of a needle in a short text, such as a target or `name: value` of a field; escapes are undone, and what
 * `Basic` holds is looked into: joined to a user its base64 looks different (RFC 7617).
 */
export function secretIn(text: string, needles: NeedleSet): string | undefined {
  if (needles.size === 0) {
    return undefined;
  }
  const unescaped = withoutEscapes(text);
  const basic = /: *basic +(\S+)$/i.exec(text)?.[1];
  return (
    labelIn(text, needles) ??
    (unescaped === text ? undefined : labelIn(unescaped, needles)) ??
    (basic === undefined ? undefined : needles.find(Buffer.from(basic, 'base64'), 0)?.label)
  );
}

function labelIn(text: string, needles: NeedleSet): string | undefined {
  return needles.find(Buffer.from(text, 'latin1'), 0)?.label;
}

/** The same text with every known secret in it made unreadable. */
export function maskSecrets(text: string, needles: NeedleSet): string {
  if (needles.size === 0) {
    return text;
  }
  const bytes = Buffer.from(text, 'latin1');
  return needles.find(bytes, 0) === undefined && withoutEscapes(text) === text
    ? text
    : maskWhole(bytes, needles).bytes.toString('latin1');
}

/** The same for content that is there as a whole. May write into it. */
export function maskWhole(whole: Buffer, needles: NeedleSet): { readonly bytes: Buffer; readonly isMasked: boolean } {
  let isMasked = false;
  const step = createSecretSearch({ needles, mode: 'mask', onFound: () => void (isMasked = true) });
  return { bytes: passWhole(step, whole), isMasked };
}
