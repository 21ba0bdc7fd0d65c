import { CasemateError } from '../../base/errors.ts';
import { visible, visibleLines } from '../../base/text.ts';
import type { CommandLinePolicy } from '../../policy/written/command-line-layer.ts';
import type { Proposal } from '../../policy/proposing/propose.ts';
import type { LoadedPolicy } from '../../sandbox/policy-files/load-policy.ts';
import { writeEdit, type PolicyEdit } from '../../sandbox/policy-files/policy-edit.ts';
import type { CommandContext } from '../command.ts';
import { canAsk, confirm } from './confirm.ts';
import { planFileEdit, editText } from './edit-policy-file.ts';
import { printJson } from '../printing/output.ts';
import { switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';

/**
 * Shows a proposal to a person: YAML, what it would allow in words, and what is uncertain; then writes the file if they agree.
 */
export interface Shown {
  readonly proposal: Proposal;
  readonly yaml: string;
  /** further lines about how it came about; safe to print */
  readonly notes: readonly string[];
  readonly file: {
    readonly explicitFile: string | undefined;
    readonly commandLine: CommandLinePolicy;
    readonly loaded: LoadedPolicy;
  };
  readonly comment: string;
}

/** Resolves to the exit code. Reads `--write user|project`, `--yes` and `--json`. */
export async function showProposal(parsed: ParsedOptions, context: CommandContext, shown: Shown): Promise<number> {
  const { proposal } = shown;
  const kind = proposalTarget(parsed);
  const isJson = switchOption(parsed, 'json');
  const edit =
    kind === undefined || proposal.rules.length === 0
      ? undefined
      : await planFileEdit(context, proposal, { kind, ...shown.file, comment: shown.comment });
  if (!isJson) {
    context.stdout.write(proposalText(shown));
  }
  const isWritten = edit !== undefined && (await write(parsed, context, edit));
  if (isJson) {
    const { rules, words, steps, leftOut } = proposal;
    printJson(context.stdout, {
      rules,
      allows: words,
      steps,
      leftOut,
      notes: shown.notes,
      written: isWritten ? edit?.path : null,
    });
  } else if (isWritten) {
    context.stdout.write(`written: ${visible(edit.path)}\n${kind === 'project' ? trustHint : ''}`);
  }
  return 0;
}

const trustHint = 'A project file grants nothing by itself; approve it where you are asked, or with: casemate policy trust\n';

/** Which file is to be written, `undefined`: none. Throws `USAGE`, so ask before anything is done. */
export function proposalTarget(parsed: ParsedOptions): 'user' | 'project' | undefined {
  const kind = textOption(parsed, 'write');
  if (kind !== undefined && kind !== 'user' && kind !== 'project') {
    throw new CasemateError('USAGE', `--write "${visible(kind)}" is neither user nor project`, {
      hint: 'Write --write user or --write project.',
    });
  }
  return kind;
}

function proposalText({ proposal, yaml, notes }: Shown): string {
  const { words, steps, leftOut } = proposal;
  const section = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? '' : `${title}\n${lines.map((line) => `  - ${line}\n`).join('')}`;
  return [
    words.length === 0 ? 'no rule to add\n' : visibleLines(yaml),
    section('with it', words),
    section('how paths were made shorter', steps),
    section(
      'without a rule',
      leftOut.map(({ asked, why }) => `${visible(asked)}: ${why}`),
    ),
    ...notes.map((note) => `note: ${note}\n`),
  ].join('');
}

async function write(parsed: ParsedOptions, context: CommandContext, edit: PolicyEdit): Promise<boolean> {
  const isSure = switchOption(parsed, 'yes');
  if (!isSure && !canAsk(context)) {
    throw new CasemateError('CONFIRMATION_MISSING', `${visible(edit.path)} is not written: there is no terminal to ask at`, {
      hint: 'Run it at a terminal, or add --yes after reading what it would allow.',
    });
  }
  context.stderr.write(editText(edit));
  if (!isSure && !(await confirm(context, 'Write this?'))) {
    return false;
  }
  await writeEdit(edit);
  return true;
}
