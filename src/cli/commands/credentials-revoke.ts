import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, switchOption, textOption } from '../reading/parse-options.ts';
import { credentialName } from '../asking/secret-input.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate credentials revoke`: cut off when this returns, open streams included. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const name = credentialName(parsed);
  const sandbox = textOption(parsed, 'sandbox');
  const answer = await askDaemon(context, 'credential-revoke', { name, sandbox, cwd: context.cwd });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
    return 0;
  }
  const where = sandbox === undefined ? 'everywhere' : `in ${visible(sandbox)}`;
  context.stdout.write(`${name}: revoked ${where}; ${answer.cut} open exchange${answer.cut === 1 ? '' : 's'} cut\n`);
  context.stdout.write('Its owner does not know: take the key itself back there, too, if it may be known.\n');
  return 0;
};
