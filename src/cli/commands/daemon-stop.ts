import { setTimeout as sleep } from 'node:timers/promises';

import { CasemateError, isCasemateError } from '../../base/errors.ts';
import type { Client } from '../../daemon/client.ts';
import { daemonLock, isLockHeld } from '../../daemon/lock.ts';
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
  const client = await connectLiving(context);
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

/** how long one that is about to listen, or to be gone, may take for it */
const patienceMs = 60_000;

/** `undefined`: none is there. One that starts or ends listens nowhere: it is waited for, or it would be there after this. */
async function connectLiving(context: CommandContext): Promise<Client | undefined> {
  const end = performance.now() + patienceMs;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- waiting is the point
      return await connectDaemon(context, { start: 'never' });
    } catch (error) {
      if (!isCasemateError(error) || error.code !== 'DAEMON_UNREACHABLE') {
        throw error;
      }
    }
    if (!isLockHeld(daemonLock(context.paths))) {
      return undefined;
    }
    if (performance.now() > end) {
      throw new CasemateError(
        'DAEMON_UNREACHABLE',
        `a daemon that starts or ends did not come to that within ${patienceMs / 1000} s`,
        { hint: 'Its last words are in daemon.log in the state folder.' },
      );
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(50);
  }
}
