import { visible } from '../../base/text.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import type { StatusAnswer } from '../../daemon/protocol.ts';
import type { RunCommand } from '../command.ts';
import { daemonStatus } from '../session/daemon-status.ts';
import { facts, printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate daemon status`: never starts one. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const status = await daemonStatus(context);
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
        ...Object.entries(status.engines ?? {}).map(
          ([name, { address, strategy }]) => [name, `${visible(address)} (by ${visible(strategy)})`] as const,
        ),
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
