import { toCasemateError } from '../../base/errors.ts';
import type { Client } from '../../daemon/client.ts';
import { linkExecution } from '../../daemon/execution-link.ts';
import type { OpenAnswer } from '../../daemon/protocol.ts';
import type { TerminalSize } from '../../engines/engine.ts';
import { identifyProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { CommandContext } from '../command.ts';
import { connectDaemon } from './connect.ts';
import { tellEnd } from './tell-end.ts';

/** A command in a sandbox from the caller's side: attaches, stays in touch with the daemon, reports the end. */

export interface SessionOptions {
  readonly tty: boolean;
  readonly timeoutMs?: number | undefined;
}

/** Loads what a session will need. To be called when the daemon has been asked: it has the time then. */
export function prepareSession(): void {
  // What cannot be loaded is told where it is needed.
  import('./attach.ts').catch(() => undefined);
}

/** Resolves to the exit code to leave with: the command's own, 124 when a time limit ended it. */
export async function runSession(
  context: CommandContext,
  client: Client,
  opened: OpenAnswer,
  options: SessionOptions,
): Promise<number> {
  const link = linkExecution(client, { executionId: opened.executionId, connect: () => connectDaemon(context) });
  const { stdout, stderr } = context;
  const { attach } = await import('./attach.ts');
  const attached = attach(opened.invocation, { ...options, logFile: opened.logFile, stdout, stderr });
  const [result] = await Promise.allSettled([attached]);
  const exitCode = result.status === 'fulfilled' ? result.value : 125;
  const fault = result.status === 'rejected' ? toCasemateError(result.reason) : undefined;
  return tellEnd(context, { exitCode, fault }, await link.reportEnd(exitCode));
}

/** Who we are, so that the daemon can tell whether the owner of a command still lives. */
export async function ownIdentity(): Promise<ProcessIdentity | undefined> {
  return await identifyProcess(process.pid);
}

export function hasTerminal({ stdin, stdout }: CommandContext): boolean {
  // Node leaves the property out where there is none, whatever its types say.
  const ends: readonly (boolean | undefined)[] = [stdin.isTTY, stdout.isTTY];
  return ends.every((end) => end === true);
}

/** Of the terminal that answers are shown on; one that says 0, as some do before they are drawn, has none yet. */
export function terminalSize({ stdout }: CommandContext): TerminalSize | undefined {
  const { rows, columns } = stdout;
  return rows > 0 && columns > 0 ? { rows, columns } : undefined;
}
