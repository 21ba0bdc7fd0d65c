import { isCasemateError } from '../../base/errors.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import type { StatusAnswer } from '../../daemon/protocol.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { facts, printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate daemon status`: never starts one. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const status = await statusOf(context);
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { daemon: status ?? null });
  } else if (status === undefined) {
    context.stdout.write('no daemon is running; it starts with the next command that needs it\n');
  } else {
    context.stdout.write(
      facts([
        ['process', String(status.pid)],
        ['version', status.version],
        ['up', formatDuration(status.uptimeMs)],
        ['memory', formatBytes(status.memoryBytes)],
        ['sandboxes', `${status.running} running of ${status.sandboxes}, ${status.waiting} callers wait for room`],
        ...shareFacts(status),
        ['socket', status.socket],
      ]),
    );
  }
  return 0;
};

function shareFacts({ share, together }: StatusAnswer): readonly (readonly [string, string])[] {
  if (share === undefined) {
    return [['together', 'the policy cannot be read']];
  }
  const { memoryBytes, memoryLimitBytes, pids, pidsLimit } = together ?? {};
  const now =
    memoryBytes === undefined || memoryLimitBytes === undefined
      ? 'not limited together here'
      : `${formatBytes(memoryBytes)} of ${formatBytes(memoryLimitBytes)} memory, ${pids ?? '?'} of ${pidsLimit ?? '?'} processes`;
  return [
    ['together', `${now}; ${share.running} may run at once`],
    ['ready', `up to ${share.ready} containers wait for sandboxes to come`],
  ];
}

async function statusOf(context: CommandContext): Promise<StatusAnswer | undefined> {
  try {
    const client = await connectDaemon(context, { start: 'never' });
    const status = await client.call('status', {});
    client.close();
    return status;
  } catch (error) {
    if (isCasemateError(error) && error.code === 'DAEMON_UNREACHABLE') {
      return undefined;
    }
    throw error;
  }
}
