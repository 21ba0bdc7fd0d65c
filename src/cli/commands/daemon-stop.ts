import { isCasemateError } from '../../base/errors.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate daemon stop`: waits until it is gone. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const stopped = await stop(context, switchOption(parsed, 'force'));
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { stopped: stopped !== undefined, sandboxes: stopped ?? [] });
  } else {
    context.stdout.write(
      stopped === undefined
        ? 'no daemon is running\n'
        : `stopped${stopped.length === 0 ? '' : `, and with it ${stopped.join(', ')}`}\n`,
    );
  }
  return 0;
};

async function stop(context: CommandContext, force: boolean): Promise<readonly string[] | undefined> {
  const client = await connectDaemon(context, { start: 'never' }).catch((error: unknown) => {
    if (isCasemateError(error) && error.code === 'DAEMON_UNREACHABLE') {
      return undefined;
    }
    throw error;
  });
  if (client === undefined) {
    return undefined;
  }
  // One that dies before it has answered has stopped nothing: that is no success.
  let ends = force;
  try {
    const { stopped } = await client.call('shutdown', { force });
    ends = true;
    return stopped;
  } finally {
    if (ends) {
      await client.whenClosed();
    }
  }
}
