import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { confirmName } from '../asking/confirm-name.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { snapshotId } from '../reading/snapshot-id.ts';
import { connectDaemon } from '../session/connect.ts';

/** `casemate snapshot restore`: first shows what will be lost, then asks for the name once more, then restores. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [given = '', id = ''] = requiredPositionals(parsed, ['NAME', 'ID']);
  const snapshot = snapshotId(id, given);
  const json = switchOption(parsed, 'json');
  const client = await connectDaemon(context);
  try {
    const { sandbox } = await client.call('inspect', { name: given });
    if (!json) {
      context.stderr.write(`will be lost: the home folder of ${visible(sandbox.name)} as it is now\nstays: its workspace\n`);
    }
    await confirmName(parsed, context, { name: sandbox.name, command: `casemate snapshot restore ${sandbox.name} ${snapshot}` });
    const restored = await client.call('snapshot-restore', { name: sandbox.id, snapshot });
    if (json) {
      printJson(context.stdout, restored);
    } else {
      context.stdout.write(`the home folder of ${visible(sandbox.name)} is as it was at ${restored.createdAt}\n`);
    }
    return 0;
  } finally {
    client.close();
  }
};
