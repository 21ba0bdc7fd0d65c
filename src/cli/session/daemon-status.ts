import { isCasemateError } from '../../base/errors.ts';
import type { StatusAnswer } from '../../daemon/protocol.ts';
import type { CommandContext } from '../command.ts';
import { connectDaemon } from './connect.ts';

/** What the running daemon says of itself. `undefined`: none runs, and none is started. */
export async function daemonStatus(context: CommandContext): Promise<StatusAnswer | undefined> {
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
