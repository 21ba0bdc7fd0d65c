import { visible } from '../../base/text.ts';
import type { TestAnswer } from '../../sandbox/credential-calls/test-credential.ts';
import type { RunCommand } from '../command.ts';
import { mark, printJson } from '../printing/output.ts';
import { parseOptions, switchOption, textOption } from '../reading/parse-options.ts';
import { credentialName } from '../asking/secret-input.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate credentials test`: makes one real call and reports its outcome. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const name = credentialName(parsed);
  const path = textOption(parsed, 'path');
  const host = textOption(parsed, 'host');
  const answer = await askDaemon(context, 'credential-test', { name, cwd: context.cwd, path, host });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
  } else {
    const { stdout } = context;
    stdout.write(`${mark(stdout, markOf(answer))} ${name}: ${visible(answer.message)}\n  ${visible(answer.call)}\n`);
  }
  return answer.outcome === 'accepted' ? 0 : 1;
};

function markOf({ outcome }: TestAnswer): 'yes' | 'no' | 'unknown' {
  return outcome === 'accepted' ? 'yes' : outcome === 'rejected' ? 'no' : 'unknown';
}
