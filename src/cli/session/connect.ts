import { realpathSync } from 'node:fs';

import { CasemateError, isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { connectClient, type Client } from '../../daemon/client.ts';
import { buildId } from '../../daemon/build-id.ts';
import type { CallerClaim } from '../../daemon/caller-view.ts';
import { socketPath, type Question } from '../../daemon/protocol.ts';
import type { CommandContext } from '../command.ts';

/** How every command reaches the daemon: starts it if none runs, and answers its questions here. */

export interface ConnectOptions {
  /** `never`: only an existing daemon will do */
  readonly start?: 'if needed' | 'never';
  /** `--trust`: the answer to the question about a project's policy */
  readonly trust?: boolean | undefined;
  /** acts for this caller, with no more than it may */
  readonly caller?: CallerClaim | undefined;
  /** nobody is at a terminal: a question about a policy is answered with no */
  readonly asksNobody?: boolean | undefined;
  /** takes what the daemon reports on the way; default: to standard error */
  readonly progress?: ((text: string) => void) | undefined;
  /** variables that the daemon may ask for beside those of the environment */
  readonly answers?: Readonly<Record<string, string>> | undefined;
}

export async function connectDaemon(context: CommandContext, options: ConnectOptions = {}): Promise<Client> {
  const build = buildId(context.entry);
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one daemon after the other
    const client = await open(context, options);
    // Whoever only asks how it is, or ends it, may do that from anywhere.
    if (options.start === 'never') {
      return client;
    }
    if (client.hello.build === build) {
      return withOurState(client, context);
    }
    client.close();
    // oxlint-disable-next-line no-await-in-loop -- as above
    await endOther(build, context, options);
  }
}

/** With the daemon of another `HOME` a credential would be sealed, and a sandbox made, where this command looks for none. */
function withOurState(client: Client, { paths }: CommandContext): Client {
  const { state } = client.hello;
  if (state === undefined || state === paths.state || realPath(state) === realPath(paths.state)) {
    return client;
  }
  client.close();
  throw new CasemateError(
    'STORE_FAILED',
    `the daemon that runs keeps its state in ${state}, and this command in ${paths.state}`,
    {
      hint: 'HOME or an XDG variable is not what it was when the daemon was started. Set it back, or run: casemate daemon stop. With CASEMATE_HOME each has a daemon of its own.',
    },
  );
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function open(context: CommandContext, options: ConnectOptions): Promise<Client> {
  return await connectClient({
    socketPath: socketPath(context.paths),
    answer: (question) => answer(question, context, options),
    caller: options.caller,
    progress: options.progress ?? ((text) => void context.stderr.write(`${visible(text)}\n`)),
    startDaemon: options.start === 'never' ? undefined : async () => (await import('./start-daemon.ts')).startDaemon(context),
  });
}

/**
 * A daemon of another build is asked to make way; with sandboxes running it stays, and the person is told. Two callers may do
 * this at once: whoever comes second finds the new daemon, or one that is ending, and neither is in its way.
 */
async function endOther(build: string, context: CommandContext, options: ConnectOptions): Promise<void> {
  // Not on behalf of a caller: those may not end a daemon.
  const own = await open(context, { ...options, caller: undefined });
  if (own.hello.build === build) {
    own.close();
    return;
  }
  await own.call('shutdown', { force: false }).catch((cause: unknown) => {
    if (isCasemateError(cause) && cause.code === 'DAEMON_UNREACHABLE') {
      return;
    }
    throw new CasemateError(
      'DAEMON_UNREACHABLE',
      `the daemon that runs is of another version (${visible(own.hello.version)}) and holds sandboxes`,
      {
        cause,
        hint: 'Run: casemate daemon stop --force, then this command again.',
      },
    );
  });
  await own.whenClosed();
}

async function answer(question: Question, context: CommandContext, options: ConnectOptions): Promise<unknown> {
  if (question.kind === 'environment') {
    return Object.fromEntries(question.names.map((name) => [name, options.answers?.[name] ?? context.env.get(name)]));
  }
  if (options.trust === true || options.asksNobody === true) {
    return options.trust === true;
  }
  const { askApproval } = await import('../asking/approve.ts');
  return await askApproval(context, question);
}
