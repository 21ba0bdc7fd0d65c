/** Reads the text of git's settings for what they name: pure, and one pass, whatever the text is (git-config(1), config.c). */

export interface Setting {
  /** lower case; a subsection, whose case counts, is left out, for none decides here */
  readonly section: string;
  /** lower case */
  readonly name: string;
  readonly value: string;
}

/** In order. What git would refuse is read as far as it goes. */
export function gitSettings(text: string): readonly Setting[] {
  const settings: Setting[] = [];
  let section = '';
  let at = text.startsWith('\u{feff}') ? 1 : 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (/\s/.test(char)) {
      at += 1;
    } else if (char === '#' || char === ';') {
      at = endOfLine(text, at);
    } else if (char === '[') {
      const end = endOfHead(text, at);
      section = (/^\[\s*([\w.-]*)/.exec(text.slice(at, Math.min(end, at + 200)))?.[1] ?? '').toLowerCase();
      // The old form of a subsection: [section.subsection]
      section = section.split('.')[0] ?? '';
      at = end;
    } else {
      const end = endOfName(text, at);
      const name = text.slice(at, end).trim().toLowerCase();
      const { value, next } = text[end] === '=' ? readValue(text, end + 1) : { value: '', next: Math.max(end, at + 1) };
      settings.push({ section, name, value });
      at = next;
    }
  }
  return settings;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

/** Behind the `]`; one in quotes is part of a subsection's name. */
function endOfHead(text: string, from: number): number {
  let isQuoted = false;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\n' || (char === ']' && !isQuoted)) {
      return at + 1;
    }
    if (char === '"') {
      isQuoted = !isQuoted;
    } else if (char === '\\' && isQuoted) {
      at += 1;
    }
  }
  return text.length;
}

function endOfName(text: string, from: number): number {
  let at = from;
  while (at < text.length && !['=', '\n', '#', ';'].includes(text[at] ?? '')) {
    at += 1;
  }
  return at;
}

const escapes: Readonly<Record<string, string>> = { t: '\t', b: '\b', n: '\n' };

/** Quotes may stand anywhere in a value, a backslash goes on in the next line, blanks at both ends do not count. */
function readValue(text: string, from: number): { readonly value: string; readonly next: number } {
  const pieces: string[] = [];
  let isQuoted = false;
  let kept = 0;
  let at = from;
  while (at < text.length && !endsValue(text[at], isQuoted)) {
    const char = text[at] ?? '';
    const { piece, length, counts } = pieceAt(text, at);
    isQuoted = char === '"' ? !isQuoted : isQuoted;
    if (counts || isQuoted || pieces.length > 0) {
      pieces.push(piece);
    }
    kept = counts || isQuoted ? pieces.length : kept;
    at += length;
  }
  return { value: pieces.slice(0, kept).join(''), next: endOfLine(text, at) };
}

function endsValue(char: string | undefined, isQuoted: boolean): boolean {
  return char === '\n' || (!isQuoted && (char === '#' || char === ';'));
}

/** `counts`: blanks before it belong to the value. */
function pieceAt(text: string, at: number): { readonly piece: string; readonly length: number; readonly counts: boolean } {
  const char = text[at] ?? '';
  if (char !== '\\') {
    return { piece: char === '"' ? '' : char, length: 1, counts: !/\s/.test(char) };
  }
  const ending = /^\r?\n/.exec(text.slice(at + 1, at + 3))?.[0];
  const escaped = text[at + 1] ?? '';
  return ending === undefined
    ? { piece: escapes[escaped] ?? escaped, length: 2, counts: true }
    : { piece: '', length: 1 + ending.length, counts: false };
}

/** What settings name: other settings, folders of hooks, and the commands that git runs of its own accord, in order. */
export interface Named {
  readonly includes: readonly string[];
  readonly hooks: readonly string[];
  readonly commands: readonly string[];
}

/** githooks(5): what git runs in a folder of hooks. */
export const hookNames: readonly string[] = (
  'applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg post-commit pre-rebase ' +
  'post-checkout post-merge pre-push pre-receive update proc-receive post-receive post-update reference-transaction ' +
  'push-to-checkout pre-auto-gc post-rewrite sendemail-validate fsmonitor-watchman p4-changelist p4-prepare-changelist ' +
  'p4-post-changelist p4-pre-submit post-index-change'
).split(' ');

/** Not aliases and tools that a person calls by name. */
const runs = new Set(
  (
    'fsmonitor sshcommand gitproxy pager editor askpass helper clean smudge process textconv ' +
    'command cmd driver external program packobjectshook uploadpack receivepack difffilter ' +
    'defaultkeycommand alternaterefscommand'
  ).split(' '),
);
const calledByName = ['alias', 'difftool', 'mergetool', 'browser', 'man', 'guitool'];

export function namedBy(settings: readonly Setting[]): Named {
  const of = (fits: (setting: Setting) => boolean): readonly string[] =>
    settings.filter((setting) => setting.value !== '' && fits(setting)).map(({ value }) => value);
  return {
    includes: of(({ section, name }) => name === 'path' && (section === 'include' || section === 'includeif')),
    hooks: of(({ section, name }) => name === 'hookspath' && section === 'core'),
    commands: of((setting) => (runs.has(setting.name) || isCommand(setting)) && !calledByName.includes(setting.section)),
  };
}

/** Sections in which what has another meaning elsewhere is one. */
function isCommand({ section, name, value }: Setting): boolean {
  return (
    section === 'pager' ||
    (section === 'submodule' && name === 'update' && value.startsWith('!')) ||
    (section === 'lfs' && name === 'path')
  );
}

/** Words of a command as a shell may take them: the program and its arguments, without quotes and what parts them. */
export function wordsOf(command: string): readonly string[] {
  return command.split(/[\s"'`;&|()<>=!$]+/).filter((word) => word !== '');
}
