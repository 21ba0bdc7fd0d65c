import { visible } from '../../base/text.ts';
import { malformed, notOffered } from '../refusal.ts';

/** Parses a Dockerfile to instructions of the classic builder: words and flags, with nothing expanded yet. Pure. */

export interface Line {
  /** upper case */
  readonly word: string;
  readonly flags: Readonly<Record<string, string>>;
  /** behind word and flags */
  readonly rest: string;
  /** `rest`, where it is a JSON list of texts */
  readonly list: readonly string[] | undefined;
  /** as it is shown: on one line */
  readonly shown: string;
}

const known = new Set([
  'FROM',
  'RUN',
  'COPY',
  'ADD',
  'WORKDIR',
  'ENV',
  'ARG',
  'LABEL',
  'USER',
  'EXPOSE',
  'CMD',
  'ENTRYPOINT',
  'VOLUME',
  'STOPSIGNAL',
  'SHELL',
  'HEALTHCHECK',
  'MAINTAINER',
]);
const greatestLines = 1000;

/** Throws a refusal, with the number of the line. */
export function parseDockerfile(text: string): readonly Line[] {
  const raw = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  requireUsualEscape(raw);
  const lines = wholeLines(raw).map(({ line, number }) => parseLine(line, `line ${number}`));
  if (lines.length > greatestLines) {
    throw notOffered('limits', `a build has no more than ${greatestLines} steps`);
  }
  return lines;
}

/** Directives stand before everything else; the one for another escape character would change how all is read. */
function requireUsualEscape(raw: readonly string[]): void {
  for (const line of raw) {
    const directive = /^\s*#\s*(\w+)\s*=\s*(.*)$/.exec(line);
    if (directive === null) {
      return;
    }
    if (directive[1]?.toLowerCase() === 'escape' && directive[2]?.trim() !== '\\') {
      throw notOffered('docker.build', 'another escape character is not offered');
    }
  }
}

interface WholeLine {
  readonly line: string;
  readonly number: number;
}

/** Comments and empty lines left out, lines that end in a backslash joined with what follows. */
function wholeLines(raw: readonly string[]): readonly WholeLine[] {
  const lines: WholeLine[] = [];
  let begun = '';
  for (const [index, line] of raw.entries()) {
    const text = line.trimEnd();
    if (text.trim() === '' || /^\s*#/.test(text)) {
      continue;
    }
    if (/(?:^|[^\\])\\$/.test(text)) {
      begun += text.slice(0, -1);
    } else {
      lines.push({ line: begun + text, number: index + 1 });
      begun = '';
    }
  }
  return begun.trim() === '' ? lines : [...lines, { line: begun, number: raw.length }];
}

function parseLine(text: string, place: string): Line {
  const [, name = '', behind = ''] = /^\s*([a-zA-Z]+)(?:\s+([\s\S]*))?$/.exec(text) ?? [];
  const word = name.toUpperCase();
  if (word === 'ONBUILD') {
    throw notOffered('docker.build', `${place}: ONBUILD is not offered`);
  }
  if (!known.has(word)) {
    throw malformed(`${place}: unknown instruction: ${visible(word || text.trim()).slice(0, 64)}`);
  }
  const { flags, rest } = flagsOf(behind.trim());
  if (rest === '') {
    throw malformed(`${place}: ${word} says nothing`);
  }
  if ((word === 'RUN' || word === 'COPY') && /^<<-?['"]?\w/.test(rest)) {
    throw notOffered('docker.build', `${place}: documents within a Dockerfile need BuildKit, which is not offered`);
  }
  return { word, flags, rest, list: listOf(rest), shown: visible(`${word} ${rest}`.replaceAll(/\s+/g, ' ')).slice(0, 400) };
}

function flagsOf(text: string): Pick<Line, 'flags' | 'rest'> {
  const found = /^--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)/.exec(text);
  if (found === null) {
    return { flags: {}, rest: text };
  }
  const { flags, rest } = flagsOf(text.slice(found[0].length));
  return { flags: { ...flags, [found[1] ?? '']: found[2] ?? '' }, rest };
}

function listOf(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((row) => typeof row === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

const inBraces = /\\(\$)|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^}]*))?\})/g;
const bareOnly = /\\(\$)|\$([A-Za-z_]\w*)/g;

/** of all that variables stand for in one build: `ENV a=$a$a` a hundred times would be more than any memory */
const greatestExpansion = 8 * 1024 * 1024;

export type Expand = (text: string, variables: ReadonlyMap<string, string>) => string;

/** For one build. Throws a refusal where it becomes too much. */
export function expander(): Expand {
  let left = greatestExpansion;
  return (text, variables) => {
    const spend = (value: string): string => {
      left -= value.length;
      if (left < 0) {
        throw notOffered('limits', 'what the variables of a build stand for is too long');
      }
      return value;
    };
    return expand(text, variables, spend);
  };
}

/**
 * `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME:+other}`; a backslash before a dollar keeps it. In one pass, however long.
 * `spend` sees each value before it is taken.
 */
export function expand(
  text: string,
  variables: ReadonlyMap<string, string>,
  spend: (value: string) => string = (value) => value,
): string {
  // Behind the last closing brace none is closed: to look for one from each opening one there would take very long.
  const end = text.lastIndexOf('}') + 1;
  const closed = text.slice(0, end).replaceAll(inBraces, (...groups: string[]) => {
    const [, kept, bare, braced, mark, other = ''] = groups;
    if (kept !== undefined) {
      return '$';
    }
    const value = variables.get(bare ?? braced ?? '') ?? '';
    return spend(mark === '-' ? (value === '' ? other : value) : mark === '+' ? (value === '' ? '' : other) : value);
  });
  const open = text
    .slice(end)
    .replaceAll(bareOnly, (_, kept: string | undefined, bare: string | undefined) =>
      kept === undefined ? spend(variables.get(bare ?? '') ?? '') : '$',
    );
  return closed + open;
}

/** Words as a shell would part them, without one: quotes and backslashes are taken off. */
export function words(text: string): readonly string[] {
  return Array.from(text.matchAll(/(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+/g), ([word]) =>
    word.replaceAll(/\\([\s\S])|"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'/g, (...groups: string[]) => {
      const [, escaped, double, single] = groups;
      return escaped ?? double?.replaceAll(/\\(["\\$])/g, '$1') ?? single ?? '';
    }),
  );
}

/** `a=b c="d e"`, or the old form of one: `a b c`. */
export function pairs(text: string): readonly (readonly [string, string])[] {
  const all = words(text);
  if (all[0]?.includes('=') !== true) {
    const found = /^(\S+)\s+([\s\S]+)$/.exec(text);
    if (found === null) {
      throw malformed(`${visible(text).slice(0, 100)} has no value`);
    }
    return [[found[1] ?? '', (found[2] ?? '').trim()]];
  }
  return all.map((word) => {
    const at = word.indexOf('=');
    if (at < 1) {
      throw malformed(`${visible(word).slice(0, 100)} has no value`);
    }
    return [word.slice(0, at), word.slice(at + 1)];
  });
}
