import type { CommandContext, CommandRow } from '../command.ts';
import { queueOption } from '../reading/make-request.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from './ask-daemon.ts';

/** What `start`, `stop` and `restart` have in common. */
export async function changeState(
  method: 'start' | 'stop' | 'restart',
  row: Pick<CommandRow, 'options'>,
  { args, context }: { readonly args: readonly string[]; readonly context: CommandContext },
): Promise<number> {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const queueMs = method === 'start' ? queueOption(parsed) : undefined;
  const view = await (method === 'start' ? askDaemon(context, method, { name, queueMs }) : askDaemon(context, method, { name }));
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, view);
  } else {
    context.stdout.write(`${view.name}  ${view.state}\n`);
  }
  return 0;
}
