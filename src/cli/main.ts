#!/usr/bin/env node
import { CasemateError, errorCodes, toCasemateError } from '../base/errors.ts';
import { visible, visibleJson, visibleLines } from '../base/text.ts';
import { processEnvironment, withoutFolder } from '../system/environment.ts';
import { pathsFrom } from '../system/paths.ts';
import { version } from '../system/version.ts';
import type { CommandContext, CommandRow } from './command.ts';
import { commands, innerCommands } from './commands.ts';

/** The entry point: finds the command in the table, loads only that, and prints an error once. */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`casemate needs Node 22.19 or newer; this is ${process.versions.node}\n`);
  process.exit(125);
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => leaveWithoutOutput(process.stdout, error));
process.stderr.on('error', (error: NodeJS.ErrnoException) => leaveWithoutOutput(process.stderr, error));
process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const [first] = words;
  if (first === '--version' || first === '-V') {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const found = findCommand(words);
  try {
    if (found === undefined || asksForHelp(found.args)) {
      return await help(words, found?.name);
    }
    const { args, row } = found;
    const { run } = await row.load();
    return await run(args, context(), row);
  } catch (thrown) {
    return report(thrown, words);
  }
}

interface Found {
  readonly name: string;
  readonly row: CommandRow;
  readonly args: readonly string[];
}

function findCommand(words: readonly string[]): Found | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const table = Object.hasOwn(commands, name) ? commands : innerCommands;
    const row = words.length >= length && Object.hasOwn(table, name) ? table[name] : undefined;
    if (row !== undefined) {
      return { name, row, args: words.slice(length) };
    }
  }
  return undefined;
}

/** `--help` counts wherever it stands before `--`: help must not need a right command line. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).some((argument) => argument === '--help' || argument === '-h');
}

async function help(words: readonly string[], name: string | undefined): Promise<number> {
  const { helpFor } = await import('./help.ts');
  const own = words.filter((word) => word !== '--help' && word !== '-h');
  const subject = own[0] === 'help' ? own.slice(1) : own;
  const text = helpFor(commands, name ?? subject.join(' '));
  // A family alone is no command: what it has is shown, as to one who forgot to say which.
  const isIncomplete = name === undefined && subject.length > 0 && subject.length === words.length;
  (isIncomplete ? process.stderr : process.stdout).write(text);
  return isIncomplete ? errorCodes.USAGE.exit : 0;
}

function context(): CommandContext {
  const uid = process.geteuid?.() ?? 0;
  const { stdin, stdout, stderr } = process;
  const cwd = workingFolder();
  // What of PATH lies in the project is not run: a sandbox may have written it.
  const env = withoutFolder(processEnvironment, cwd);
  return { env, paths: pathsFrom(env, uid), cwd, stdin, stdout, stderr, uid };
}

function workingFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new CasemateError('PATH_INVALID', 'the working folder was removed', { cause, hint: 'cd into a folder that exists.' });
  }
}

/** A reader that has seen enough (`| head -1`) ends us as it ends other programs: without a word, 128 + SIGPIPE. */
function leaveWithoutOutput(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  // A command whose streams are passed through sees to its own end.
  if (stream.listenerCount('error') > 1) {
    return;
  }
  if (error.code !== 'EPIPE' && stream === process.stdout) {
    process.exit(
      report(
        new CasemateError('OUTPUT_UNWRITABLE', `cannot write to standard output: ${error.code ?? error.message}`),
        process.argv.slice(2),
      ),
    );
  }
  process.exit(error.code === 'EPIPE' ? 141 : errorCodes.OUTPUT_UNWRITABLE.exit);
}

function report(thrown: unknown, args: readonly string[]): number {
  const error = toCasemateError(thrown);
  if (wantsJson(args)) {
    const { code, message, hint } = error;
    process.stderr.write(`${visibleJson({ error: { code, message, hint } })}\n`);
  } else {
    const hint = error.hint === undefined ? '' : `\n  ${visibleLines(error.hint).replaceAll('\n', '\n  ')}`;
    process.stderr.write(`casemate: ${visible(error.message)}${hint}\n`);
  }
  if (error.code === 'INTERNAL' && processEnvironment.get('CASEMATE_DEBUG') !== undefined) {
    process.stderr.write(`${visibleLines(error.cause instanceof Error ? (error.cause.stack ?? '') : String(error.cause))}\n`);
  }
  return errorCodes[error.code].exit;
}

function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}
