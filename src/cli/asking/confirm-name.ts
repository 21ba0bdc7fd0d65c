import { createInterface } from 'node:readline/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { CommandContext } from '../command.ts';
import { textOption, type ParsedOptions } from '../reading/parse-options.ts';

/** Before something is lost for good, its name must be typed once more, or given by `--confirm`. */
export interface Confirmation {
  readonly name: string;
  /** as it was called, for the hint */
  readonly command: string;
}

/** Throws `CONFIRMATION_MISSING`. */
export async function confirmName(
  parsed: ParsedOptions,
  context: CommandContext,
  { name, command }: Confirmation,
): Promise<void> {
  const given = textOption(parsed, 'confirm') ?? (await typed(context, name));
  if (given !== name) {
    const why = given === undefined ? 'there is no terminal to ask at' : `"${visible(given)}" is not the name "${name}"`;
    throw new CasemateError('CONFIRMATION_MISSING', `nothing was changed: ${why}`, {
      hint: `Type the name when asked, or run: ${command} --confirm ${name}`,
    });
  }
}

async function typed({ stdin, stderr }: CommandContext, name: string): Promise<string | undefined> {
  if (!stdin.isTTY) {
    return undefined;
  }
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    return (await lines.question(`Type ${name} to go on: `)).trim();
  } finally {
    lines.close();
  }
}
