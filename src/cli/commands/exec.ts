import { posix } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { durationOption } from '../reading/make-request.ts';
import {
  listOption,
  parseOptions,
  requiredCommand,
  requiredPositionals,
  switchOption,
  textOption,
} from '../reading/parse-options.ts';
import { hasTerminal, ownIdentity, prepareSession, runSession, terminalSize } from '../session/session.ts';

/** A runtime takes absolute paths alone; who writes another means one below the folder that commands begin in. */
function folderInside(written: string | undefined): string | undefined {
  return written === undefined ? undefined : posix.resolve('/workspace', written);
}

/** `casemate exec`: a command in a running sandbox. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const command = requiredCommand(parsed);
  const env = Object.fromEntries(listOption(parsed, 'env').map(variable));
  const timeoutMs = durationOption(parsed, 'timeout');
  const tty = hasTerminal(context) && !switchOption(parsed, 'no-tty');
  const term = tty ? context.env.get('TERM') : undefined;
  const [client, identity] = await Promise.all([connectDaemon(context), ownIdentity()]);
  const asked = client.call('exec', {
    name,
    command,
    cwd: folderInside(textOption(parsed, 'cwd')),
    env: term === undefined ? env : { TERM: term, ...env },
    tty,
    terminalSize: tty ? terminalSize(context) : undefined,
    timeoutMs,
    client: identity,
  });
  prepareSession();
  const opened = await asked;
  return await runSession(context, client, opened, { tty, timeoutMs });
};

function variable(text: string): readonly [string, string] {
  const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new CasemateError('USAGE', `--env "${visible(text)}" is not NAME=VALUE`);
  }
  return [name, value];
}
