import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import type { CommandContext } from '../command.ts';
import { commands } from '../commands.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../completion.ts';
import { parseOptions, requiredPositionals } from '../reading/parse-options.ts';

/** `casemate completion SHELL`: prints the script; the user decides where it goes. */

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

function isShell(text: string): text is keyof typeof shells {
  return Object.hasOwn(shells, text);
}

export async function run(args: readonly string[], { stdout }: Pick<CommandContext, 'stdout'>): Promise<number> {
  const [shell = ''] = requiredPositionals(parseOptions({ options: [] }, args), ['bash|zsh|fish']);
  if (!isShell(shell)) {
    const near = nearest(shell, Object.keys(shells));
    throw new CasemateError('USAGE', `no completion for the shell "${visible(shell)}"`, {
      hint: near === undefined ? 'There is one for bash, zsh and fish.' : `Did you mean ${near}?`,
    });
  }
  stdout.write(shells[shell](commands));
  return 0;
}
