import type { Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';

/** What a command of the command line is, and what it is given. One command, one file in `commands/`. */

export interface CommandContext {
  readonly env: Environment;
  readonly paths: Paths;
  readonly cwd: string;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly uid: number;
  /** absolute path of the program that serves as the daemon; absent: this one, started the same way */
  readonly entry?: string | undefined;
}

/**
 * Arguments after the command's own name(s), and its row of the table; resolves to the exit code. Errors are thrown, printed
 * once by `main.ts`.
 */
export type RunCommand = (args: readonly string[], context: CommandContext, row: CommandRow) => Promise<number>;

export interface CommandModule {
  readonly run: RunCommand;
}

export interface OptionRow {
  /** long name without dashes */
  readonly name: string;
  readonly short?: string | undefined;
  /** placeholder of the value; `undefined`: a switch */
  readonly value?: string | undefined;
  /** may be given more than once */
  readonly repeats?: boolean | undefined;
  readonly about: string;
}

/** One row of the command table: all that `--help`, completion and the reference page need, without loading the code. */
export interface CommandRow {
  /** one phrase without a full stop */
  readonly summary: string;
  /** heading in the top-level help, e.g. `Sandboxes`; without one: `Commands` */
  readonly group?: string | undefined;
  /** arguments as shown in the usage line, e.g. `NAME [-- COMMAND ARG...]` */
  readonly usage: string;
  readonly options: readonly OptionRow[];
  /** more sentences for `--help` */
  readonly about?: string | undefined;
  readonly examples: readonly string[];
  readonly load: () => Promise<CommandModule>;
}

/** Subcommands have a space in their key: `policy check`. */
export type CommandTable = Readonly<Record<string, CommandRow>>;
