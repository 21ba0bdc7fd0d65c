import { CasemateError } from '../../base/errors.ts';
import { lastLines, readKeptOutput } from '../../sandbox/commands/kept-output.ts';
import { alarmText } from '../printing/budget-rows.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { numberOption, parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate logs`: the output of commands without a terminal, stored on the host, shown without control characters. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const tail = numberOption(parsed, 'tail', 1) ?? 200;
  const { folder, sandbox } = await askDaemon(context, 'inspect', { name });
  if (sandbox.alarms > 0) {
    context.stderr.write(`${sandbox.name}: ${alarmText(sandbox)}\n`);
  }
  const logs = await readKeptOutput(folder);
  if (switchOption(parsed, 'raw')) {
    if (context.stdout.isTTY) {
      throw new CasemateError('USAGE', "--raw would send the sandbox's bytes to your terminal", {
        hint: 'Redirect it: casemate logs NAME --raw > file',
      });
    }
    context.stdout.write(Buffer.concat(logs.map((log) => log.bytes)));
    return 0;
  }
  if (switchOption(parsed, 'json')) {
    printJson(
      context.stdout,
      logs.map(({ execution, bytes }) => ({ execution, lines: lastLines(bytes, tail) })),
    );
    return 0;
  }
  const lines = logs.flatMap(({ bytes }) => lastLines(bytes, tail)).slice(-tail);
  context.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return 0;
};
