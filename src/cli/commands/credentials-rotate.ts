import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import type { RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { parseOptions, switchOption } from '../reading/parse-options.ts';
import { credentialName, hasSecretOption, readSecret } from '../asking/secret-input.ts';
import { reportChange } from './credentials-set.ts';

/** `casemate credentials rotate`: when it returns, every running sandbox uses the new value. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const name = credentialName(parsed);
  const json = switchOption(parsed, 'json');
  const client = await connectDaemon(context);
  const { cwd } = context;
  const isSealed = await takesSealedValue(client, { name, cwd });
  if (switchOption(parsed, 'reread') || (!isSealed && !hasSecretOption(parsed))) {
    const answer = await client.call('credential-reread', { name, cwd });
    client.close();
    reportChange(context, answer, { json });
    return 0;
  }
  if (!isSealed) {
    client.close();
    throw new CasemateError('USAGE', `the policy takes "${name}" from elsewhere, so a value given here would not be used`, {
      hint: `Change it at its source, then run: casemate credentials rotate ${name}`,
    });
  }
  const value = await readSecret(parsed, context, `New value of ${name} (not shown): `);
  const answer = await client.call('credential-set', { name, value });
  client.close();
  reportChange(context, answer, { json });
  return 0;
};

/** Throws `USAGE` for a name that nothing has. */
async function takesSealedValue(client: Client, { name, cwd }: { name: string; cwd: string }): Promise<boolean> {
  const views = await client.call('credential-list', { cwd });
  const view = views.find((one) => one.name === name);
  if (view === undefined) {
    client.close();
    throw new CasemateError('USAGE', `there is no credential "${visible(name)}"`, { hint: 'See: casemate credentials ls' });
  }
  return view.sources.some(({ kind }) => kind === 'stored');
}
