import { visible } from '../../base/text.ts';
import type { DestroyAnswer } from '../../daemon/protocol.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { confirmName } from '../asking/confirm-name.ts';
import { connectDaemon } from '../session/connect.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';

/** `casemate destroy`: first shows the plan, then asks for the name once more, then destroys. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const json = switchOption(parsed, 'json');
  const client = await connectDaemon(context);
  const lists = await client.call('destroy-list', { name });
  if (lists.alreadyGone || switchOption(parsed, 'dry-run')) {
    client.close();
    report(context, lists, { json, done: false });
    return 0;
  }
  if (!json) {
    context.stderr.write(listing(lists, { removed: 'will be removed', kept: 'stays' }));
  }
  await confirmName(parsed, context, { name: lists.name, command: `casemate destroy ${lists.name}` });
  const answer = await client.call('destroy', { name });
  client.close();
  report(context, answer, { json, done: true });
  return 0;
};

function report(context: CommandContext, answer: DestroyAnswer, { json, done }: { json: boolean; done: boolean }): void {
  if (json) {
    printJson(context.stdout, answer);
  } else if (answer.alreadyGone) {
    context.stdout.write(`${answer.name} is already gone\n`);
  } else {
    context.stdout.write(
      listing(answer, done ? { removed: 'removed', kept: 'kept' } : { removed: 'would be removed', kept: 'would stay' }),
    );
  }
}

function listing(answer: DestroyAnswer, words: { removed: string; kept: string }): string {
  const line = (word: string) => (text: string) => `${word}: ${visible(text)}\n`;
  return [...answer.removed.map(line(words.removed)), ...answer.kept.map(line(words.kept))].join('');
}
