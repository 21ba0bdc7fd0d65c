import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import type { CommandRow, OptionRow } from '../command.ts';

/** Parses the arguments of a command by its row of the table. Strict: what the row does not declare is refused. */
export interface ParsedOptions {
  /** By long name. A switch is `true`, an option its text, a repeating option a list; what was not given is absent. */
  readonly values: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly positionals: readonly string[];
  /** everything after `--`, byte for byte; empty without one */
  readonly rest: readonly string[];
  /** of the command, for errors */
  readonly example?: string | undefined;
}

interface OptionToken {
  readonly rawName: string;
  readonly name: string;
  readonly value: string | undefined;
  readonly inline: boolean;
}

/**
 * Reads `--name value`, `--name=value`, `-n value`, `-nvalue` and grouped switches (POSIX 12.2, GNU long options).
 * Throws `USAGE` for an unknown option, a missing or needless value, and an option given twice that does not repeat.
 */
export function parseOptions(
  row: Pick<CommandRow, 'options'> & Partial<Pick<CommandRow, 'examples'>>,
  args: readonly string[],
): ParsedOptions {
  const end = args.indexOf('--');
  const before = end < 0 ? args : args.slice(0, end);
  const { tokens } = parseArgs({
    args: [...before],
    options: Object.fromEntries(row.options.map(nodeOption)),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, string | boolean | readonly string[]> = Object.create(null);
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') {
      positionals.push(token.value);
    } else if (token.kind === 'option') {
      const { rawName, name, value, inlineValue } = token;
      store(values, findOption(row.options, rawName, name), { rawName, name, value, inline: inlineValue ?? false });
    }
  }
  return { values, positionals, rest: end < 0 ? [] : args.slice(end + 1), example: row.examples?.[0] };
}

function nodeOption({ name, short, value }: OptionRow): [string, { type: 'string' | 'boolean'; short?: string }] {
  return [name, { type: value === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) }];
}

function findOption(options: readonly OptionRow[], rawName: string, name: string): OptionRow {
  const option = options.find((candidate) => candidate.name === name);
  if (option === undefined) {
    const near = nearest(
      name,
      options.map((candidate) => candidate.name),
    );
    throw new CasemateError('USAGE', `unknown option ${visible(rawName)}`, {
      hint: near === undefined ? knownOptions(options) : `Did you mean --${near}? Put -- before the command to pass it on.`,
    });
  }
  return option;
}

function knownOptions(options: readonly OptionRow[]): string {
  return options.length === 0
    ? 'This command takes no options but --help.'
    : `Known here: ${options.map((option) => `--${option.name}`).join(', ')}.`;
}

function store(values: Record<string, string | boolean | readonly string[]>, option: OptionRow, token: OptionToken): void {
  const known = values[option.name];
  if (known !== undefined && option.repeats !== true && option.value !== undefined) {
    throw new CasemateError('USAGE', `--${option.name} is given twice`, { hint: 'Give it once.' });
  }
  const value = valueOf(option, token);
  values[option.name] =
    option.repeats === true && typeof value === 'string' ? [...(Array.isArray(known) ? known : []), value] : value;
}

function valueOf(option: OptionRow, { rawName, value, inline }: OptionToken): string | true {
  if (option.value === undefined) {
    if (value !== undefined) {
      throw new CasemateError('USAGE', `${visible(rawName)} takes no value`, { hint: `Write only --${option.name}.` });
    }
    return true;
  }
  // `--name --json`: most likely the value was forgotten; whoever means it writes `--name=--json`.
  if (value === undefined || (!inline && value.length > 1 && value.startsWith('-'))) {
    throw new CasemateError('USAGE', `${visible(rawName)} needs a value`, { hint: `Write --${option.name} ${option.value}.` });
  }
  if (value === '') {
    throw new CasemateError('USAGE', `the value of ${visible(rawName)} is empty`, {
      hint: `Write --${option.name} ${option.value}.`,
    });
  }
  return value;
}

/** The text of an option, `undefined` where it was not given. */
export function textOption(parsed: ParsedOptions, name: string): string | undefined {
  const value = parsed.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** Whether a switch was given. */
export function switchOption(parsed: ParsedOptions, name: string): boolean {
  return parsed.values[name] === true;
}

/** The absolute path of a file or folder that was named from `cwd`. */
export function pathOption(parsed: ParsedOptions, name: string, cwd: string): string | undefined {
  const text = textOption(parsed, name);
  return text === undefined ? undefined : resolve(cwd, text);
}

/** All values of a repeating option, in order; empty where it was not given. */
export function listOption(parsed: ParsedOptions, name: string): readonly string[] {
  const value = parsed.values[name];
  return Array.isArray(value) ? value : [];
}

/** A whole number of at least `minimum`; `undefined` where the option was not given. Throws `USAGE`. */
export function numberOption(parsed: ParsedOptions, name: string, minimum = 0): number | undefined {
  const text = textOption(parsed, name);
  if (text === undefined) {
    return undefined;
  }
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < minimum) {
    throw new CasemateError('USAGE', `--${name} ${visible(text)} is not a whole number of at least ${minimum}`);
  }
  return value;
}

/** Exactly the positionals named, e.g. `requiredPositionals(parsed, ['NAME'])`. Throws `USAGE` for too few or too many. */
export function requiredPositionals(parsed: ParsedOptions, names: readonly string[]): readonly string[] {
  const missing = names[parsed.positionals.length];
  if (missing !== undefined) {
    throw new CasemateError('USAGE', `${missing} is missing`, {
      hint: parsed.example === undefined ? `Arguments: ${names.join(' ')}.` : `For example: ${parsed.example}`,
    });
  }
  return optionalPositionals(parsed, names);
}

/** At most the positionals named. Throws `USAGE` for one too many. */
export function optionalPositionals(parsed: ParsedOptions, names: readonly string[]): readonly string[] {
  const extra = parsed.positionals[names.length];
  if (extra !== undefined) {
    const allowed = names.length === 0 ? 'No arguments are taken here.' : `Arguments: ${names.join(' ')}.`;
    const example = parsed.example === undefined ? '' : ` For example: ${parsed.example}`;
    throw new CasemateError('USAGE', `unexpected argument "${visible(extra)}"`, { hint: `${allowed}${example}` });
  }
  return parsed.positionals;
}

/** The command after `--`. Throws `USAGE` where there is none. */
export function requiredCommand(parsed: ParsedOptions): readonly string[] {
  if (parsed.rest.length === 0) {
    throw new CasemateError('USAGE', 'no command is given', { hint: 'Write it after --, for example: -- ls -la' });
  }
  return parsed.rest;
}
