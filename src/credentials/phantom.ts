import { hkdfSync } from 'node:crypto';

import type { PhantomShape } from './providers.ts';

/**
 * Phantoms: the worthless stand-ins that a sandbox holds. They are derived, not stored, so a sandbox keeps its own across a
 * restart.
 */

/** Every phantom has a mark, in this form or in one its alphabet allows: a phantom is known for one wherever it turns up. */
export const phantomMark = 'cmph_';

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const phantomPattern = /cmph[_/]?[A-Za-z0-9]{28,}|A[KS]IACMPH[A-Z2-7]{12}/;

export interface PhantomOwner {
  readonly sandboxId: string;
  readonly credentialName: string;
  /** which of several phantoms of one credential, e.g. `secret`; absent: the only one or the first */
  readonly part?: string | undefined;
  /** at least 16 random bytes, never inside a sandbox: without it no phantom can be guessed from another */
  readonly installationKey: Uint8Array;
}

/** The phantom of one credential in one sandbox: prefix, mark, derived letters, suffix, in the length of a real key. */
export function makePhantom(shape: PhantomShape, owner: PhantomOwner): string {
  const { sandboxId, credentialName, installationKey, part } = owner;
  const { mark = phantomMark, alphabet = letters } = shape;
  if (installationKey.length < 16) {
    throw new RangeError('the installation key is shorter than 16 bytes');
  }
  const names = ['casemate phantom', shape.prefix, sandboxId, credentialName];
  const info = JSON.stringify(part === undefined ? names : [...names, part]);
  const derived = new Uint8Array(hkdfSync('sha512', installationKey, '', info, shape.letters));
  const body = Array.from(derived, (byte) => alphabet.charAt(byte % alphabet.length)).join('');
  return `${shape.prefix}${mark}${body}${shape.suffix}`;
}

/** Whether `text` has a phantom in it, of this or of any other sandbox. */
export function hasPhantom(text: string): boolean {
  return phantomPattern.test(text);
}

/** Longer than what the pattern needs to match. */
const telling = 48;

/** Whether a phantom has been seen, in bytes that are given piece by piece. */
export function phantomWatch(): (piece: Buffer) => boolean {
  let tail = '';
  let isSeen = false;
  return (piece) => {
    const text = tail + piece.toString('latin1');
    isSeen ||= hasPhantom(text);
    tail = text.slice(-telling);
    return isSeen;
  };
}

/** Whether `text` is a phantom and nothing else. */
export function isPhantom(text: string): boolean {
  return /^[A-Za-z0-9_/+=-]*$/.test(text) && hasPhantom(text);
}
