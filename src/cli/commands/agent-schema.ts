import { agentJsonSchema } from '../../agents/described/schema.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions } from '../reading/parse-options.ts';

/** `casemate agent schema`: the JSON Schema of a file that describes an agent. */
export const run: RunCommand = async (args, context, row) => {
  optionalPositionals(parseOptions(row, args), []);
  printJson(context.stdout, agentJsonSchema());
  return 0;
};
