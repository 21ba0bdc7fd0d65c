import type { CommandContext, CommandRow } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { requestId } from '../reading/request-id.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate deny`: refuses a waiting request at once, and does not ask about it again for a while. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  const id = requestId(requiredPositionals(parsed, ['ID'])[0]);
  const scope = switchOption(parsed, 'sandbox') ? 'sandbox' : 'while';
  await askDaemon(context, 'request-deny', { id, scope });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { id, denied: true, scope });
  } else {
    const until = scope === 'sandbox' ? 'as long as this sandbox lives' : 'for 10 minutes';
    context.stdout.write(`denied: ${id}; the same is not asked again ${until}\n`);
  }
  return 0;
}
