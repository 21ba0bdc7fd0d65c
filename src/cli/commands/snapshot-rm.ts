import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { snapshotId } from '../reading/snapshot-id.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate snapshot rm`. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = '', id = ''] = requiredPositionals(parsed, ['NAME', 'ID']);
  const snapshot = snapshotId(id, name);
  const removed = await askDaemon(context, 'snapshot-remove', { name, snapshot });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, removed);
  } else {
    context.stdout.write(`removed: ${removed.id}\n`);
  }
  return 0;
};
