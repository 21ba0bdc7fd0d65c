import { askOnce } from '../../daemon/ask-once.ts';
import type { Calls, Method } from '../../daemon/protocol.ts';
import type { CommandContext } from '../command.ts';
import { connectDaemon, type ConnectOptions } from './connect.ts';

/** For a command that asks the daemon one thing. */
export async function askDaemon<M extends Method>(
  context: CommandContext,
  method: M,
  params: Calls[M]['params'],
  options: ConnectOptions = {},
): Promise<Calls[M]['result']> {
  return await askOnce(() => connectDaemon(context, options), method, params);
}
