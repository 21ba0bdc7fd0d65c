import { resolve } from 'node:path';

import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { approve } from '../asking/approve.ts';

/** `casemate policy trust`: a person approves what a project's policy asks for, as it reads now. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [file] = optionalPositionals(parsed, ['FILE']);
  const policyFile = file === undefined ? undefined : resolve(context.cwd, file);
  const client = await connectDaemon(context);
  const request = { cwd: context.cwd, policyFile };
  const asked = await client.call('trust-list', request);
  const needed = asked.path !== undefined && !asked.approved && asked.grants.length > 0;
  if (needed && !switchOption(parsed, 'yes')) {
    await approve(context, { path: asked.path ?? '', grants: asked.grants });
  }
  const answer = needed ? await client.call('trust', { ...request, hash: asked.hash ?? '' }) : asked;
  client.close();
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { path: answer.path, grants: answer.grants, approved: true });
  } else if (answer.path === undefined) {
    context.stdout.write('no project policy here: nothing to approve\n');
  } else {
    context.stdout.write(
      `approved: ${visible(answer.path)}\n${answer.grants.map((grant) => `  - ${visible(grant)}\n`).join('')}`,
    );
  }
  return 0;
};
