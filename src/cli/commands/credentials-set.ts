import { visible } from '../../base/text.ts';
import { checkUse, type CredentialChange } from '../../sandbox/credential-calls/credentials.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { listOption, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';
import { credentialName, readSecret } from '../asking/secret-input.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate credentials set`: the value goes from the terminal or a pipe to the daemon, which seals it. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const name = credentialName(parsed);
  const use = { provider: textOption(parsed, 'provider'), hosts: listOption(parsed, 'host') };
  checkUse(use);
  const value = await readSecret(parsed, context, `Value of ${name} (not shown): `);
  const answer = await askDaemon(context, 'credential-set', { name, value, ...use });
  reportChange(context, answer, { json: switchOption(parsed, 'json') });
  return 0;
};

export function reportChange({ stdout, stderr }: CommandContext, change: CredentialChange, { json }: { json: boolean }): void {
  if (json) {
    printJson(stdout, change);
    return;
  }
  const { name, replaced, keyPlace, sandboxes, notes } = change;
  const where = keyPlace === 'keychain' ? 'its key is in the keychain' : 'its key is in the configuration folder';
  stdout.write(keyPlace === undefined ? `${name}: read again\n` : `${name}: ${replaced ? 'replaced' : 'sealed'}; ${where}\n`);
  if (sandboxes.length > 0) {
    stdout.write(`in use from now on: ${sandboxes.map(visible).join(', ')}\n`);
  }
  for (const note of notes) {
    stderr.write(`casemate: ${visible(note)}\n`);
  }
}
