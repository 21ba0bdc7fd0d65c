import { keysAt } from './json-schema.ts';
import { parseFile } from './parse-file.ts';
import type { PolicyLayer } from './policy-layer.ts';
import { policySchema } from './schema.ts';

/** Parses the text of a policy file to a layer. Each fault is one `POLICY_INVALID` with path, line, column and what to do. */

export interface PolicyText extends Pick<PolicyLayer, 'kind' | 'source' | 'folder' | 'workspaceFolder'> {
  readonly text: string;
}

/** Throws `POLICY_INVALID`: the first fault of the file, and how many more there are. */
export function parsePolicy({ text, kind, source, folder, workspaceFolder }: PolicyText): PolicyLayer {
  const form = { schema: policySchema, keysAt, code: 'POLICY_INVALID', what: 'policy' } as const;
  const { value, positions } = parseFile({ source, text }, form);
  return { kind, source, folder, workspaceFolder, written: value, positions };
}
