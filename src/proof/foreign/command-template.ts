import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';

/**
 * The command that starts someone else's sandbox, with places for what Casemate fills in: the probing program's argument list,
 * and folders made for the proof. Words in, words out; no shell of ours reads any of it.
 */
export interface CommandTemplate {
  /** as it was written, word by word */
  readonly words: readonly string[];
  /** The argument list that runs `command` in that sandbox. */
  readonly around: (command: readonly string[], folders: TemplateFolders) => readonly string[];
}

/** Folders on this host, made for one proof. */
export interface TemplateFolders {
  /** the working folder, which the sandbox may be given */
  readonly work: string;
  /** a home with canaries for credentials */
  readonly home: string;
}

const places = ['{}', '{sh}', '{work}', '{home}'] as const;

/** Throws `USAGE` unless the probing command has exactly one place. */
export function commandTemplate(words: readonly string[]): CommandTemplate {
  refuseUnknown(words);
  const lists = words.filter((word) => word === '{}').length;
  const texts = words.flatMap((word) => word.split('{sh}').slice(1)).length;
  if (lists + texts === 0) {
    throw usage('there is no {} in --command', 'It stands for the probing command, for example: docker run --rm IMAGE {}');
  }
  if (lists + texts > 1) {
    throw usage('--command has more than one place for the probing command', 'Write {} once, as a word of its own.');
  }
  if (words[0]?.includes('{') === true) {
    throw usage('--command begins with a place, not with a program', 'Write the sandbox first: docker run --rm IMAGE {}');
  }
  return { words, around: (command, folders) => words.flatMap((word) => fill(word, command, folders)) };
}

/** By functions: in a replacement text `$&` would mean something. In one go: what was put in is not looked at again. */
function fill(word: string, command: readonly string[], { work, home }: TemplateFolders): readonly string[] {
  const texts: Readonly<Record<string, () => string>> = {
    '{sh}': () => shellWords(command),
    '{work}': () => work,
    '{home}': () => home,
  };
  return word === '{}' ? command : [word.replaceAll(/\{(?:sh|work|home)\}/g, (place) => texts[place]?.() ?? place)];
}

/** A list of words as a POSIX shell reads it back, for tools that hand one text to a shell of theirs. */
export function shellWords(command: readonly string[]): string {
  return command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
}

/** `{}` within a word, and what is nearly one of our places. Other braces, and doubled ones, belong to the tool. */
function refuseUnknown(words: readonly string[]): void {
  for (const word of words) {
    if (word !== '{}' && /(?<!\{)\{\}/.test(word)) {
      throw usage(
        `{} stands within the word ${visible(word)}, but it is a list of words`,
        'Put it by itself; where the tool takes one text for a shell, write {sh} instead.',
      );
    }
    for (const [found] of word.matchAll(/(?<!\{)\{[a-z]+\}/g)) {
      const near = nearest(found, places);
      if (near !== undefined && near !== found) {
        throw usage(`there is no place ${found} in --command`, `Did you mean ${near}?`);
      }
    }
  }
}

function usage(message: string, hint: string): CasemateError {
  return new CasemateError('USAGE', message, { hint });
}
