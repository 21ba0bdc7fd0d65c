import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { describeIssue } from './describe-issue.ts';
import { keysAt } from './json-schema.ts';
import { positionOf, type PolicyLayer, type Position } from './policy-layer.ts';
import { readYaml } from './read-yaml.ts';
import { policySchema } from './schema.ts';

/** Text of a policy file to a layer. Every fault is one `POLICY_INVALID` with path, line, column and what to do. */

export interface PolicyText extends Pick<PolicyLayer, 'kind' | 'source' | 'folder' | 'workspaceFolder'> {
  readonly text: string;
}

interface Fault {
  readonly what: string;
  readonly hint?: string | undefined;
  readonly position: Position;
}

/** Throws `POLICY_INVALID`: the first fault of the file, and how many more there are. */
export function parsePolicy({ text, kind, source, folder, workspaceFolder }: PolicyText): PolicyLayer {
  const yaml = readYaml(text);
  if ('faults' in yaml) {
    throw firstOf(source, yaml.faults);
  }
  const parsed = policySchema.safeParse(yaml.value);
  if (!parsed.success) {
    const faults = parsed.error.issues.flatMap((issue) => describeIssue(issue, yaml.value, keysAt));
    // A misspelt key is also a missing one; its own fault says more, so it comes first.
    throw firstOf(
      source,
      faults
        .toSorted((a, b) => Number(b.atKey) - Number(a.atKey))
        .map(({ path, atKey, what, hint }) => {
          return {
            what,
            hint,
            position: (atKey ? yaml.keys.get(path.join('/')) : undefined) ?? positionOf(yaml.positions, path),
          };
        }),
    );
  }
  return { kind, source, folder, workspaceFolder, written: parsed.data, positions: yaml.positions };
}

function firstOf(source: string, faults: readonly Fault[]): CasemateError {
  const sorted = faults.toSorted((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
  const [first] = sorted;
  if (first === undefined) {
    return new CasemateError('POLICY_INVALID', `${visible(source)}: the file is not a policy`);
  }
  const more = sorted.length === 1 ? '' : ` (and ${sorted.length - 1} more ${sorted.length === 2 ? 'fault' : 'faults'})`;
  const { line, column } = first.position;
  return new CasemateError('POLICY_INVALID', `${visible(source)}:${line}:${column}: ${first.what}${more}`, { hint: first.hint });
}
