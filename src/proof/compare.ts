import { attack, type Row } from './finding.ts';

/** Rows of an attack that is judged by comparison: expected and actual. Observed from outside unless stated otherwise. */

export function same(what: string, expected: unknown, seen: unknown, from: Row['from'] = 'outside'): Row {
  const [want, have] = [wordsOf(expected), wordsOf(seen)];
  return attack(what, { expected: want, seen: have, ok: want === have, from });
}

/** Nothing of a list may be there. */
export function none(what: string, found: readonly string[], from: Row['from'] = 'outside'): Row {
  return attack(what, { expected: 'none', seen: listed(found), ok: found.length === 0, from });
}

/** All of `wanted` must be in `found`. */
export function holds(what: string, wanted: readonly string[], found: readonly string[], from: Row['from'] = 'outside'): Row {
  const missing = wanted.filter((name) => !found.includes(name));
  const seen = missing.length === 0 ? 'all of them' : `without ${listed(missing)}`;
  return attack(what, { expected: 'all of them', seen, ok: missing.length === 0, from });
}

const shown = 6;

export function listed(names: readonly string[]): string {
  const rest = names.length > shown ? ` and ${names.length - shown} more` : '';
  return names.length === 0 ? 'none' : `${names.slice(0, shown).join(', ')}${rest}`;
}

function wordsOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
}
