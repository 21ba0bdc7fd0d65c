import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { visible } from '../../base/text.ts';
import type { CommandLinePolicy } from '../../policy/written/command-line-layer.ts';
import type { Proposal } from '../../policy/proposing/propose.ts';
import { projectFileName, type LoadedPolicy } from '../../sandbox/policy-files/load-policy.ts';
import { planEdit, type PolicyEdit } from '../../sandbox/policy-files/policy-edit.ts';
import type { CommandContext } from '../command.ts';
import { readPolicy } from '../reading/read-policy.ts';

/** A proposal as a change of the user's or the project's policy file, tried but not yet written. */
export interface FileChoice {
  readonly kind: 'user' | 'project';
  /** project policy that was named instead of one that is found */
  readonly explicitFile: string | undefined;
  readonly commandLine?: CommandLinePolicy | undefined;
  readonly loaded: LoadedPolicy;
  readonly comment: string;
}

/** Throws `POLICY_INVALID` and `POLICY_WIDENS` where the changed file would not do what it is meant for. */
export async function planFileEdit(
  context: CommandContext,
  proposal: Proposal,
  { kind, explicitFile, commandLine, loaded, comment }: FileChoice,
): Promise<PolicyEdit> {
  const path = kind === 'user' ? join(context.paths.config, 'policy.yaml') : projectPath(context, explicitFile, loaded);
  if (kind === 'user') {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  }
  const { covered } = proposal;
  const rules = proposal.rules.map(({ upstream, ...rule }) =>
    kind === 'project' || upstream === undefined ? rule : { ...rule, upstream },
  );
  return await planEdit({
    kind,
    path,
    rules,
    covered,
    comment: visible(comment),
    load: (instead) => readPolicy(context, { explicitFile, commandLine, instead }),
  });
}

function projectPath({ cwd }: CommandContext, explicitFile: string | undefined, { files }: LoadedPolicy): string {
  return explicitFile ?? files.find(({ layer }) => layer === 'project')?.path ?? join(cwd, projectFileName);
}

/** The change for a person: the file, then `+` what is added, `-` what goes. */
export function editText(edit: PolicyEdit): string {
  return [visible(edit.path), ...changedLines(edit)].map((line) => `${line}\n`).join('');
}

/** Both texts are short; only whole lines are compared. */
function changedLines({ before, after }: PolicyEdit): readonly string[] {
  const old = (before ?? '').split('\n');
  const lines = after.split('\n');
  let start = 0;
  while (start < old.length && start < lines.length && old[start] === lines[start]) {
    start += 1;
  }
  let end = 0;
  while (end < old.length - start && end < lines.length - start && old[old.length - 1 - end] === lines[lines.length - 1 - end]) {
    end += 1;
  }
  return [
    ...old.slice(start, old.length - end).map((line) => `- ${visible(line)}`),
    ...lines.slice(start, lines.length - end).map((line) => `+ ${visible(line)}`),
  ];
}
