import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, switchOption, textOption } from '../reading/parse-options.ts';
import { credentialName } from '../asking/secret-input.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate credentials restore`: allows a revoked credential again, with its current value. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const name = credentialName(parsed);
  const sandbox = textOption(parsed, 'sandbox');
  const answer = await askDaemon(context, 'credential-restore', { name, sandbox, cwd: context.cwd });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
  } else {
    const where = sandbox === undefined ? '' : ` in ${visible(sandbox)}`;
    context.stdout.write(answer.restored ? `${name}: may be used again${where}\n` : `${name}: was not revoked${where}\n`);
  }
  return 0;
};
