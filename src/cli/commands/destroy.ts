import { createInterface } from 'node:readline/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { DestroyAnswer } from '../../daemon/protocol.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { commands } from '../commands.ts';
import { connectDaemon } from '../connect.ts';
import { printJson } from '../output.ts';
import { parseOptions, requiredPositionals, switchOption, textOption, type ParsedOptions } from '../parse-options.ts';

/** `casemate destroy`: the plan first, then the name once more, then the deed. */
export const run: RunCommand = async (args, context) => {
  const parsed = parseOptions(commands['destroy'] ?? { options: [] }, args);
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
  await confirm(parsed, context, lists.name);
  const answer = await client.call('destroy', { name });
  client.close();
  report(context, answer, { json, done: true });
  return 0;
};

async function confirm(parsed: ParsedOptions, context: CommandContext, name: string): Promise<void> {
  const given = textOption(parsed, 'confirm') ?? (await typed(context, name));
  if (given !== name) {
    throw new CasemateError('CONFIRMATION_MISSING', `nothing was removed: "${visible(given ?? '')}" is not the name "${name}"`, {
      hint: `Type the name when asked, or run: casemate destroy ${name} --confirm ${name}`,
    });
  }
}

async function typed({ stdin, stderr }: CommandContext, name: string): Promise<string | undefined> {
  if (!stdin.isTTY) {
    return undefined;
  }
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    return (await lines.question(`Type ${name} to remove it: `)).trim();
  } finally {
    lines.close();
  }
}

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
