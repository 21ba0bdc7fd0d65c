import { visible } from '../../base/text.ts';
import { formatBytes } from '../../base/units.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption, textOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate snapshot take`. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const taken = await askDaemon(context, 'snapshot-take', { name, label: textOption(parsed, 'label') });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, taken);
  } else {
    context.stdout.write(
      `${taken.id} (${formatBytes(taken.bytes)}); casemate start ${visible(name)} goes on, casemate snapshot restore ${visible(name)} ${taken.id} puts it back\n`,
    );
  }
  return 0;
};
