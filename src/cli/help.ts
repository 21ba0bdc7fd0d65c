import { CasemateError } from '../base/errors.ts';
import { nearest, visible } from '../base/text.ts';
import type { CommandRow, CommandTable, OptionRow } from './command.ts';

/** `--help`, from the command table alone: no command's code is loaded for it. */

const program = 'casemate';
const opening = 'Runs coding agents in hardened sandboxes: keys stay outside, no route but the gateway, every effect recorded.';

/**
 * The help text for `name`: a command (`run`), a family (`policy`) or, without a name, everything. Ends in a line feed.
 * Throws `USAGE` for a name the table does not have.
 */
export function helpFor(table: CommandTable, name?: string): string {
  if (name === undefined || name === '') {
    return topHelp(table);
  }
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  const family = Object.entries(table).filter(([key]) => key.startsWith(`${name} `));
  if (row === undefined && family.length === 0) {
    throw unknownCommand(table, name);
  }
  const parts = row === undefined ? [`Usage: ${program} ${name} COMMAND`] : [commandHelp(name, row)];
  if (family.length > 0) {
    parts.push(section('Commands', summaries(family)));
  }
  if (row === undefined) {
    // One of each; a command's own help has the others.
    parts.push(
      ...examples(family.flatMap(([, { examples: own }]) => own.slice(0, 1))),
      `More: ${program} ${name} COMMAND --help`,
    );
  }
  return `${parts.join('\n\n')}\n`;
}

/** The `USAGE` error for a command the table does not have, with the nearest one that it has. */
export function unknownCommand(table: CommandTable, name: string): CasemateError {
  const [first = '', second] = name.split(' ');
  const isFamily = Object.keys(table).some((key) => key.startsWith(`${first} `));
  const known = new Set(Object.keys(table).flatMap((key) => [key, key.split(' ')[0] ?? key]));
  // What follows are arguments, not part of the name; of `polcy chek` both words may be.
  const two = second === undefined ? undefined : `${first} ${second}`;
  const near = isFamily ? nearest(two ?? first, known) : (nearest(two ?? first, known) ?? nearest(first, known));
  return new CasemateError('USAGE', `unknown command "${visible(isFamily ? (two ?? first) : first)}"`, {
    hint:
      near === undefined
        ? `See: ${[program, ...(isFamily ? [first] : [])].join(' ')} --help`
        : `Did you mean: ${program} ${near}?`,
  });
}

function topHelp(table: CommandTable): string {
  const groups = Map.groupBy(Object.entries(table), ([, row]) => row.group ?? 'Commands');
  const width = columnOf(Object.keys(table));
  const lists = Array.from(groups, ([title, rows]) => section(title, summaries(rows, width)));
  const usage = `Usage: ${program} COMMAND [OPTION...] [ARG...]`;
  const more = [
    `More: ${program} COMMAND --help    Version: ${program} --version`,
    "Exit codes: the command's own; 2 bad input, 124 time-out, 125 casemate or the host failed.",
  ];
  const [main] = Object.values(table);
  return `${[opening, usage, ...lists, ...examples(main?.examples ?? []), more.join('\n')].join('\n\n')}\n`;
}

function commandHelp(name: string, row: CommandRow): string {
  const options: OptionRow[] = [...row.options, { name: 'help', short: 'h', about: 'Show this help' }];
  const lines = options.map((option): Line => [optionTerm(option), optionAbout(option)]);
  return [
    `Usage: ${`${program} ${name} ${row.usage}`.trimEnd()}`,
    row.about === undefined ? `${row.summary}.` : `${row.summary}.\n\n${wrap(row.about, 100)}`,
    section('Options', aligned(lines, columnOf(lines.map(([term]) => term)))),
    ...examples(row.examples),
  ].join('\n\n');
}

function examples(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [section('Examples', lines.map((line) => `  ${line}`).join('\n'))];
}

/** `-n, --name NAME`: also the first column of the reference page. */
export function optionTerm({ name, short, value }: OptionRow): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

function optionAbout({ about, repeats }: OptionRow): string {
  return repeats === true ? `${about} (may be repeated)` : about;
}

type Line = readonly [term: string, about: string];

function summaries(rows: readonly (readonly [string, CommandRow])[], width = columnOf(rows.map(([name]) => name))): string {
  return aligned(
    rows.map(([name, row]): Line => [name, row.summary]),
    width,
  );
}

function columnOf(terms: readonly string[]): number {
  return Math.max(0, ...terms.map((term) => term.length)) + 2;
}

function aligned(lines: readonly Line[], width: number): string {
  return lines.map(([term, about]) => `  ${term.padEnd(width)}${about}`).join('\n');
}

function section(title: string, body: string): string {
  return `${title}:\n${body}`;
}

/** Breaks each paragraph at spaces so that no line is longer than `width`, long words aside. */
function wrap(text: string, width: number): string {
  return text
    .split('\n')
    .map((paragraph) => wrapParagraph(paragraph, width))
    .join('\n');
}

function wrapParagraph(text: string, width: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}
