import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { CommandContext } from '../command.ts';
import { canAsk, confirm } from './confirm.ts';

/** Asks the person at the terminal to approve what a project's policy asks for. */

export interface Asked {
  readonly path: string;
  readonly grants: readonly string[];
}

export async function askApproval(context: CommandContext, { path, grants }: Asked): Promise<boolean> {
  if (!canAsk(context)) {
    return false;
  }
  context.stderr.write(`${visible(path)} asks for:\n${grants.map((grant) => `  - ${visible(grant)}\n`).join('')}`);
  return confirm(context, 'Approve this content of the file?');
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
