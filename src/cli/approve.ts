import { createInterface } from 'node:readline/promises';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { CommandContext } from './command.ts';

/** Asks the person at the terminal to approve what a project's policy asks for. */

export interface Asked {
  readonly path: string;
  readonly grants: readonly string[];
}

export async function askApproval({ stdin, stderr }: CommandContext, { path, grants }: Asked): Promise<boolean> {
  if (!stdin.isTTY || !stderr.isTTY) {
    return false;
  }
  stderr.write(`${visible(path)} asks for:\n${grants.map((grant) => `  - ${visible(grant)}\n`).join('')}`);
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    return /^y(es)?$/i.test((await lines.question('Approve this content of the file? [y/N] ')).trim());
  } finally {
    lines.close();
  }
}

/** Throws `POLICY_UNTRUSTED` when nobody says yes. */
export async function approve(context: CommandContext, asked: Asked): Promise<void> {
  if (!(await askApproval(context, asked))) {
    throw new CasemateError(
      'POLICY_UNTRUSTED',
      `${visible(asked.path)} was not approved: ${asked.grants.map(visible).join('; ')}`,
      {
        hint: 'Run it at a terminal and answer y, or add --yes after reading the file.',
      },
    );
  }
}
