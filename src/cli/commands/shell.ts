import type { RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { parseOptions, requiredPositionals } from '../reading/parse-options.ts';
import { hasTerminal, ownIdentity, prepareSession, runSession, terminalSize } from '../session/session.ts';

/** `casemate shell`: a login shell as the sandbox's user; with no terminal it reads its commands from standard input. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const tty = hasTerminal(context);
  const client = await connectDaemon(context);
  const term = tty ? context.env.get('TERM') : undefined;
  const asked = client.call('exec', {
    name,
    command: ['/bin/bash', '-l'],
    cwd: undefined,
    env: term === undefined ? {} : { TERM: term },
    tty,
    terminalSize: tty ? terminalSize(context) : undefined,
    timeoutMs: undefined,
    client: await ownIdentity(),
  });
  prepareSession();
  const opened = await asked;
  return await runSession(context, client, opened, { tty });
};
