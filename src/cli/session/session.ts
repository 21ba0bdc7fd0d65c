import { isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import type { CloseAnswer, OpenAnswer } from '../../daemon/protocol.ts';
import type { TerminalSize } from '../../engines/engine.ts';
import { identifyProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { NewRepositories } from '../../workspace/new-repositories.ts';
import type { CommandContext } from '../command.ts';
import { connectDaemon } from './connect.ts';

/** A command in a sandbox from the caller's side: attach, stay in touch with the daemon, report the end. */

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
  let current = client;
  let ended = false;
  const stayInTouch = async (): Promise<void> => {
    await current.whenClosed();
    if (ended) {
      return;
    }
    current = await connectDaemon(context);
    // The command may have ended while the new daemon started: then nobody waits for this connection any more.
    if (ended) {
      current.close();
      return;
    }
    // The command goes on without a key that cannot be had again: the daemon says so in each answer to it.
    await current.call('resume', { executionId: opened.executionId }).catch(() => undefined);
    await stayInTouch();
  };
  // A daemon that cannot be had again is noticed below, when the end is reported.
  stayInTouch().catch(() => undefined);
  const { stdout, stderr } = context;
  const { attach } = await import('./attach.ts');
  const attached = attach(opened.invocation, { ...options, logFile: opened.logFile, stdout, stderr });
  const [result] = await Promise.allSettled([attached]);
  ended = true;
  const exitCode = result.status === 'fulfilled' ? result.value : 125;
  const { timedOut, repositories } = await reportEnd(context, current, { executionId: opened.executionId, exitCode }).finally(
    // The daemon may have been replaced meanwhile; the connection to the new one is of no use any more. Nor is that to one
    // that could not record the end: this process would wait for it for ever.
    () => current.close(),
  );
  for (const line of repositoryLines(repositories)) {
    stderr.write(`casemate: ${line}\n`);
  }
  if (result.status === 'rejected') {
    throw result.reason;
  }
  return timedOut ? 124 : exitCode;
}

/** Shown at most, the rest as a number. */
const shownRepositories = 5;

function repositoryLines({ paths, complete }: NewRepositories): readonly string[] {
  const more = paths.length > shownRepositories ? ` and ${paths.length - shownRepositories} more` : '';
  const found =
    paths.length === 0
      ? []
      : [
          `new or changed git repositories in the workspace: ${paths.slice(0, shownRepositories).map(visible).join(', ')}${more}`,
          'git there, and `git status` above one that was added, runs programs that its settings name: look at its .git/config first',
        ];
  return complete ? found : [...found, 'the workspace could not be searched to its end for new git repositories'];
}

async function reportEnd(
  context: CommandContext,
  client: Client,
  end: { executionId: string; exitCode: number },
): Promise<CloseAnswer> {
  try {
    const answer = await client.call('close', end);
    client.close();
    return answer;
  } catch (error) {
    if (!isCasemateError(error) || error.code !== 'DAEMON_UNREACHABLE') {
      throw error;
    }
    const again = await connectDaemon(context);
    const answer = await again.call('close', end);
    again.close();
    return answer;
  }
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
