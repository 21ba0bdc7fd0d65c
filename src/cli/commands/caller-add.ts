import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { callerRoles } from '../../sandbox/stored/caller-tokens.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { callerName } from '../reading/caller-name.ts';
import { durationOption } from '../reading/make-request.ts';
import { listOption, parseOptions, pathOption, requiredPositionals, switchOption, textOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate caller add`: makes a token for an agent or a program, shown this once. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [written = ''] = requiredPositionals(parsed, ['NAME']);
  const name = callerName(written, 'NAME');
  const asked = textOption(parsed, 'role') ?? 'operator';
  const role = callerRoles.find((one) => one === asked);
  if (role === undefined) {
    throw new CasemateError('USAGE', `--role "${visible(asked)}" is no role`, { hint: `Roles: ${callerRoles.join(', ')}.` });
  }
  const roots = listOption(parsed, 'root').map((root) => resolve(context.cwd, root));
  if (roots.length === 0) {
    throw new CasemateError('USAGE', 'no root is given: a caller works below declared folders alone', {
      hint: `For example: casemate caller add ${name} --root ~/projects`,
    });
  }
  const lifeMs = durationOption(parsed, 'expires');
  const policy = pathOption(parsed, 'policy', context.cwd);
  const { caller, token } = await askDaemon(context, 'caller-add', { name, role, roots, policy, lifeMs });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { ...caller, token });
    return 0;
  }
  context.stdout.write(`${token}\n`);
  const until = caller.expiresAt === undefined ? 'until it is revoked' : `until ${caller.expiresAt}`;
  context.stderr.write(`casemate: ${caller.name} is ${caller.role} ${until}. The token is not shown again.\n`);
  return 0;
};
