import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';

/**
 * Splits a command line into an argument list, by the quoting rules of POSIX shells (XCU 2.2) and without a shell: nothing is
 * expanded, and unquoted text that a shell would act on is refused, because it would mean something else here.
 */
export function splitCommand(text: string): readonly string[] {
  const words: string[] = [];
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    const [word, end] = readWord(text, at);
    words.push(word);
    at = skipBlanks(text, end);
  }
  return words;
}

function readWord(text: string, start: number): readonly [string, number] {
  let word = '';
  let at = start;
  while (at < text.length && !isBlank(text[at])) {
    const [piece, end] = readPiece(text, at, at === start);
    word += piece;
    at = end;
  }
  return [word, at];
}

/** One character, an escaped one, or a quoted text. */
function readPiece(text: string, at: number, opensWord: boolean): readonly [string, number] {
  const character = text[at] ?? '';
  if (character === "'") {
    const end = text.indexOf("'", at + 1);
    return end < 0 ? refuse(text, at, 'the single quote is not closed') : [text.slice(at + 1, end), end + 1];
  }
  if (character === '"') {
    return readDoubleQuoted(text, at);
  }
  if (character === '\\') {
    const next = text[at + 1] ?? refuse(text, at, 'nothing follows the backslash');
    return [next === '\n' ? '' : next, at + 2];
  }
  refuseActive(text, at, opensWord);
  return [character, at + 1];
}

function readDoubleQuoted(text: string, start: number): readonly [string, number] {
  let word = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] ?? '';
    const next = text[at + 1] ?? '';
    if (character === '"') {
      return [word, at + 1];
    }
    if (character === '$' || character === '`') {
      refuse(text, at, 'it would be expanded by a shell; none reads this');
    }
    if (character === '\\' && '$`"\\\n'.includes(next) && next !== '') {
      word += next === '\n' ? '' : next;
      at += 1;
    } else {
      word += character;
    }
  }
  return refuse(text, start, 'the double quote is not closed');
}

/** What a shell acts on outside quotes, and what it would be there. */
const active: Readonly<Record<string, string>> = {
  $: 'a variable or substitution',
  '`': 'a substitution',
  '*': 'a pattern of file names',
  '?': 'a pattern of file names',
  '[': 'a pattern of file names',
  '|': 'a pipe',
  '&': 'a list of commands',
  ';': 'a list of commands',
  '\n': 'a list of commands',
  '<': 'a redirection',
  '>': 'a redirection',
  '(': 'a subshell',
  ')': 'a subshell',
};
/** The same, where a word begins with it. */
const activeFirst: Readonly<Record<string, string>> = { '~': 'a home folder', '#': 'a comment' };
/** Assignments before a command, and lists in braces: `A=1 command`, `{a,b}`. */
const assignment = /^[A-Za-z_]\w*=/;
const braceList = /^\{[^{}\s'"\\]*(?:,|\.\.)[^{}\s'"\\]*\}/;

function refuseActive(text: string, at: number, opensWord: boolean): void {
  const character = text[at] ?? '';
  const meaning = active[character] ?? (opensWord ? activeFirst[character] : undefined);
  if (meaning !== undefined) {
    refuse(text, at, `it would be ${meaning} to a shell; none reads this`);
  }
  if (opensWord && assignment.test(text.slice(at)) && text.slice(0, at).trim() === '') {
    refuse(text, at, 'it would be an assignment to a shell; write: env NAME=VALUE ...');
  }
  if (character === '{' && braceList.test(text.slice(at))) {
    refuse(text, at, 'it would be a list to a shell; none reads this');
  }
}

function refuse(text: string, at: number, why: string): never {
  throw new CasemateError('USAGE', `--command, at character ${at + 1} (${visible(text.slice(at, at + 12))}): ${why}`, {
    hint: "Put it in quotes if it is meant as it stands, or give it to a shell of your own: sh -c '...'",
  });
}

/** A line feed separates commands, not words. */
function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (at < text.length && (isBlank(text[at]) || text.startsWith('\\\n', at))) {
    at += isBlank(text[at]) ? 1 : 2;
  }
  return at;
}
