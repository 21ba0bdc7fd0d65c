import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate logout`: ends the login at its server, if that can be reached, and forgets it here. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [agent = ''] = requiredPositionals(parsed, ['AGENT']);
  const answer = await askDaemon(context, 'login-remove', { agent });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
  } else if (!answer.removed) {
    context.stdout.write(`${answer.agent}: there was no login\n`);
  } else {
    const end = answer.revoked ? 'ended at its server and removed' : 'removed here; its server did not confirm that it is ended';
    context.stdout.write(`${answer.agent}: ${end}\n`);
  }
  return 0;
};
