import { attack, type Row } from './finding.ts';
import type { Inside } from './target.ts';

/** Runs a command that must be refused with a reason: its output is searched for what is wrong. */
export function refusedRow(what: string, { code, out, err }: Inside, words: RegExp): Row {
  const said = `${out.toString('utf8')}${err.toString('utf8')}`;
  const seen = code === 0 ? 'done' : words.test(said) ? 'refused, with its name' : `refused with: ${said.trim().slice(0, 160)}`;
  return attack(what, { expected: 'refused, with its name', seen, ok: code !== 0 && words.test(said), from: 'outside' });
}
