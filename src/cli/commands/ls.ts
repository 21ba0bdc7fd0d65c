import type { RunCommand } from '../command.ts';
import { ago, printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate ls`. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const views = await askDaemon(context, 'ls', {});
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, views);
    return 0;
  }
  if (views.length === 0) {
    context.stdout.write('no sandboxes\n');
    return 0;
  }
  const nowMs = Date.now();
  const rows = views.map((view) => [
    view.name,
    view.alarms === 0 ? view.state : `${view.state}, ${view.alarms} ${view.alarms === 1 ? 'alarm' : 'alarms'}`,
    view.level,
    view.serves === undefined ? (view.agent ?? '-') : `for ${view.serves.sandbox}`,
    view.image,
    ago(view.createdAt, nowMs),
    view.workspace,
  ]);
  context.stdout.write(table(['NAME', 'STATE', 'LEVEL', 'AGENT', 'IMAGE', 'AGE', 'WORKSPACE'], rows));
  return 0;
};
