import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { makeRequest } from '../reading/make-request.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate create`: checks everything and records the sandbox; nothing runs yet. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const request = makeRequest(parsed, context);
  const view = await askDaemon(context, 'create', { ...request, name }, { trust: request.trust });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, view);
  } else {
    context.stdout.write(
      `${view.id}  ${view.name}  level ${view.level}  policy ${view.policyHash.slice(0, 12)}\n  ${visible(view.workspace)}\n`,
    );
  }
  return 0;
};
