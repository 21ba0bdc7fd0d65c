import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/**
 * `casemate caller revoke`: the token is invalid from now on and what its caller has running ends; its sandboxes stay, stopped.
 */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const answer = await askDaemon(context, 'caller-revoke', { name });
  if (!answer.revoked) {
    throw new CasemateError('USAGE', `there is no caller "${visible(name)}"`, { hint: 'See: casemate caller ls' });
  }
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
  } else {
    const stopped = answer.stopped.length === 0 ? '' : `; stopped: ${answer.stopped.join(', ')}`;
    context.stdout.write(`${answer.name} is revoked${stopped}; its sandboxes stay (casemate ls, casemate destroy NAME)\n`);
  }
  return 0;
};
