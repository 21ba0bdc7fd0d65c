import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate caller ls`: who may connect over the network; never a token. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const callers = await askDaemon(context, 'caller-list', {});
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, callers);
    return 0;
  }
  const rows = callers.map(({ name, role, roots, expiresAt, expired }) => [
    name,
    role,
    roots.map(visible).join(', '),
    expiresAt === undefined ? 'never' : `${expiresAt}${expired ? ' (over)' : ''}`,
  ]);
  context.stdout.write(table(['NAME', 'ROLE', 'ROOTS', 'EXPIRES'], rows));
  return 0;
};
