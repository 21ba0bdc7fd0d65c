import { CasemateError } from '../../base/errors.ts';
import type { RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { makeRequest, queueOption } from '../reading/make-request.ts';
import { optionalPositionals, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';
import { hasTerminal, ownIdentity, prepareSession, runSession, terminalSize } from '../session/session.ts';

/** `casemate run`: a new sandbox for one command, removed afterwards. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const request = makeRequest(parsed, context);
  const prompt = textOption(parsed, 'prompt');
  if (prompt !== undefined && parsed.rest.length > 0) {
    throw new CasemateError('USAGE', '--prompt is for the agent, but a command is given after --', { hint: 'Give one of them.' });
  }
  const queueMs = queueOption(parsed);
  const client = await connectDaemon(context, { trust: request.trust });
  const tty = hasTerminal(context);
  const keep = switchOption(parsed, 'keep');
  const asked = client.call('run', {
    ...request,
    name: textOption(parsed, 'name'),
    command: parsed.rest.length === 0 ? undefined : parsed.rest,
    prompt,
    queueMs,
    keep,
    tty,
    terminalSize: tty ? terminalSize(context) : undefined,
    term: tty ? context.env.get('TERM') : undefined,
    client: await ownIdentity(),
  });
  prepareSession();
  const opened = await asked;
  if (switchOption(parsed, 'prove')) {
    const { proveFirst } = await import('../session/prove-first.ts');
    await proveFirst(context, client, opened);
  }
  const code = await runSession(context, client, opened, { tty });
  if (keep) {
    context.stderr.write(
      `casemate: sandbox "${opened.sandbox.name}" is kept (casemate exec ${opened.sandbox.name} -- ..., casemate destroy ${opened.sandbox.name})\n`,
    );
  }
  return code;
};
