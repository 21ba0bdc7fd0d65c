import { visible } from '../../base/text.ts';
import { formatBytes } from '../../base/units.ts';
import type { RunCommand } from '../command.ts';
import { printJson, table } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate snapshot ls`. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const snapshots = await askDaemon(context, 'snapshot-list', { name });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, snapshots);
    return 0;
  }
  const rows = snapshots.map(({ id, createdAt, bytes, label }) => [id, createdAt, formatBytes(bytes), visible(label)]);
  context.stdout.write(table(['ID', 'TAKEN', 'SIZE', 'LABEL'], rows));
  return 0;
};
