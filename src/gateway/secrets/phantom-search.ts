import { needlesOf } from './needles.ts';
import { needleSet, type Needle, type NeedleSet } from './needle-search.ts';

/**
 * Searches what a sandbox sends for its phantoms, as they are and in the usual disguises (base64, hexadecimal, escapes). They
 * are worth nothing, but a phantom in the wrong place is an attempt to see where the real key goes.
 */
export function phantomSearch(phantoms: readonly string[]): NeedleSet {
  const known = made.get(phantoms) ?? needleSet(phantoms.flatMap(formsOf));
  made.set(phantoms, known);
  return known;
}

/** By the list itself: it is the same one until a stand-in is added. */
const made = new WeakMap<readonly string[], NeedleSet>();

/** As long as tells one from all others: what is held back of a stream is as long as the longest form. */
const telling = 64;

function formsOf(phantom: string): readonly Needle[] {
  // Names of HTTP/2 and of DNS have no capitals.
  const forms = [phantom, phantom.toLowerCase()].map((form) => Buffer.from(form));
  return [...forms, ...needlesOf(phantom.slice(0, telling)).sought].map((bytes) => ({ bytes, label: '' }));
}
