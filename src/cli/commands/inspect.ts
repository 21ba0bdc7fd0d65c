import type { InspectAnswer } from '../../daemon/protocol.ts';
import type { OutsideView } from '../../proof/seen-from-outside.ts';
import { alarmText, budgetRows } from '../printing/budget-rows.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { describeLogin } from '../printing/describe-login.ts';
import { bold, facts, mark, printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { visible } from '../../base/text.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate inspect`: shows a tick only for what a proof's probes see of the running sandbox from outside. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const answer = await askDaemon(context, 'inspect', { name });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
  } else {
    print(context, answer);
  }
  return 0;
};

function print(
  { stdout }: CommandContext,
  { sandbox, seen, folder, budgets, logins, companions, commands: running }: InspectAnswer,
): void {
  stdout.write(`${bold(stdout, sandbox.name)}  ${sandbox.id}\n`);
  stdout.write(
    facts([
      ['state', `${sandbox.state} (${sandbox.reason})`],
      ['level', sandbox.level],
      ['agent', sandbox.agent ?? 'none'],
      ['image', sandbox.image],
      ['workspace', `${sandbox.workspace} (${sandbox.mode})`],
      ['folder', folder],
      ['created', sandbox.createdAt],
      ['started', sandbox.startedAt ?? 'never'],
      ['ends', sandbox.expiresAt ?? 'when asked'],
      ['owner', sandbox.owner],
      ['plan', sandbox.planHash],
      ['policy', sandbox.policyHash],
      ['alarms', alarmText(sandbox)],
      ...(sandbox.serves === undefined
        ? []
        : [['serves', `the server ${sandbox.serves.server} of ${sandbox.serves.sandbox}`] as const]),
      ...companions.map(({ server, name, state }) => ['server', `${server}: in ${name} (${state})`] as const),
      ...budgetRows(budgets),
      ...logins.map((login): readonly [string, string] => ['login', describeLogin(login)]),
      ['waived', sandbox.waived.length === 0 ? 'nothing' : sandbox.waived.join(', ')],
    ]),
  );
  seen.forEach((view) => stdout.write(viewLines(stdout, view)));
  for (const { command, startedAt } of running) {
    stdout.write(`running: ${visible(command)} since ${startedAt}\n`);
  }
}

/** A tick for a probe all of whose observations are as expected; what is not is listed. */
function viewLines(stdout: NodeJS.WriteStream, { probe, rows }: OutsideView): string {
  const odd = rows.filter(({ ok }) => ok !== true);
  const faults = odd.filter(({ ok }) => ok === false).length;
  const found = [
    ...(odd.length === 0 ? ['all as planned'] : []),
    ...(faults === 0 ? [] : [`${faults} not as planned`]),
    ...(odd.length === faults ? [] : [`${odd.length - faults} not seen`]),
  ];
  const count = [`${rows.length} observations from outside`, ...found].join(', ');
  const kind = odd.length === 0 && rows.length > 0 ? 'yes' : odd.some(({ ok }) => ok === false) ? 'no' : 'unknown';
  const head = `${mark(stdout, kind)} ${probe.padEnd(26)} ${count}\n`;
  return (
    head +
    odd.map(({ what, expected, seen }) => `    ${visible(what)}: expected ${visible(expected)}, saw ${visible(seen)}\n`).join('')
  );
}
