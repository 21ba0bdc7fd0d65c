import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { confirmName } from '../asking/confirm-name.ts';
import { printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { connectDaemon } from '../session/connect.ts';

/** `casemate reap`: lists what no one will come back for, and removes it once a person has agreed. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const json = switchOption(parsed, 'json');
  const isDry = switchOption(parsed, 'dry-run');
  const client = await connectDaemon(context);
  try {
    const orphans = await client.call('reap-list', {});
    const shown = table(
      ['NAME', 'ID', 'WHY'],
      orphans.map(({ name, id, why }) => [visible(name), id, why]),
    );
    if (isDry || orphans.length === 0) {
      if (json) {
        printJson(context.stdout, { removed: [], orphans, faults: [] });
      } else {
        context.stdout.write(shown);
      }
      return 0;
    }
    if (!json) {
      context.stderr.write(shown);
    }
    await confirmName(parsed, context, { name: 'reap', command: 'casemate reap' });
    const { removed, faults } = await client.call('reap', { ids: orphans.map(({ id }) => id) });
    if (json) {
      printJson(context.stdout, { removed, orphans, faults });
    } else {
      context.stdout.write(removed.map(({ name }) => `removed: ${visible(name)}\n`).join(''));
    }
    if (faults.length > 0) {
      throw new CasemateError('ENGINE_FAILED', `not removed: ${faults.map(visible).join('; ')}`, { hint: 'Run it again.' });
    }
    return 0;
  } finally {
    client.close();
  }
};
