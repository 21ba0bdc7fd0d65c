import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { confirmName } from '../asking/confirm-name.ts';
import { connectDaemon } from '../session/connect.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, switchOption } from '../reading/parse-options.ts';
import { credentialName } from '../asking/secret-input.ts';

/** `casemate credentials rm`: first shows what will be removed, then asks for the name once more, then removes it. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const name = credentialName(parsed);
  const json = switchOption(parsed, 'json');
  const client = await connectDaemon(context);
  const list = await client.call('credential-remove-list', { name });
  if (!json) {
    const lines = [
      ...list.removed.map((one) => `will be removed: ${visible(one)}\n`),
      ...list.sandboxes.map((one) => `will be cut off: sandbox ${visible(one)}\n`),
    ];
    context.stderr.write(lines.join(''));
  }
  await confirmName(parsed, context, { name, command: `casemate credentials rm ${name}` });
  const answer = await client.call('credential-remove', { name });
  client.close();
  if (json) {
    printJson(context.stdout, answer);
  } else {
    context.stdout.write(answer.removed.map((one) => `removed: ${visible(one)}\n`).join(''));
  }
  return 0;
};
