import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import { visible } from '../../base/text.ts';
import { explain, explainLines, type Question } from '../../policy/proposing/explain.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, requiredPositionals, switchOption, textOption } from '../reading/parse-options.ts';
import { readPolicy } from '../reading/read-policy.ts';

/** `casemate policy explain`: which rule of which file decides about a destination or a request. Exit code 0 either way. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const names = parsed.positionals.length > 1 ? ['HOST[:PORT]', 'METHOD', 'PATH'] : ['HOST[:PORT]'];
  requiredPositionals(parsed, names);
  const question = readQuestion(optionalPositionals(parsed, names));
  const file = textOption(parsed, 'policy');
  const explicitFile = file === undefined ? undefined : resolve(context.cwd, file);
  const { policy } = await readPolicy(context, { explicitFile, commandLine: { agent: textOption(parsed, 'agent') } });
  const explanation = explain(policy, question);
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, explanation);
  } else {
    context.stdout.write(
      explainLines(explanation)
        .map((line) => `${line}\n`)
        .join(''),
    );
  }
  return 0;
};

function readQuestion([destination = '', method, path]: readonly string[]): Question {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(destination);
  const port = match?.[2] === undefined ? 443 : Number(match[2]);
  if (port < 1 || port > 65_535) {
    throw new CasemateError('USAGE', `${visible(destination)} has no port between 1 and 65535`, {
      hint: 'Write for example api.example.com:443.',
    });
  }
  if (path !== undefined && !path.startsWith('/')) {
    throw new CasemateError('USAGE', `the path ${visible(path)} does not start with /`, {
      hint: 'Write for example: GET /v1/models',
    });
  }
  const host = parseHost(match?.[1] ?? '');
  return { host, port, request: method === undefined || path === undefined ? undefined : { method, path } };
}
