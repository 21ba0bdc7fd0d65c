import { policyJsonSchema } from '../../policy/written/json-schema.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions } from '../reading/parse-options.ts';

/** `casemate policy schema`: the JSON Schema of the policy file. */
export const run: RunCommand = async (args, context, row) => {
  optionalPositionals(parseOptions(row, args), []);
  printJson(context.stdout, policyJsonSchema());
  return 0;
};
