import { isCasemateError } from '../../base/errors.ts';
import type { StatusAnswer } from '../../daemon/protocol.ts';
import type { CommandContext } from '../command.ts';
import { askDaemon } from './ask-daemon.ts';

/** What the running daemon says of itself. `undefined`: none runs, and none is started. */
export async function daemonStatus(context: CommandContext): Promise<StatusAnswer | undefined> {
  try {
    const status = await askDaemon(context, 'status', {}, { start: 'never' });
    return status;
  } catch (error) {
    if (isCasemateError(error) && error.code === 'DAEMON_UNREACHABLE') {
      return undefined;
    }
    throw error;
  }
}
