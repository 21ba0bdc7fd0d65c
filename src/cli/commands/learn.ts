import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { rulesAsYaml } from '../../policy/proposing/edit-policy.ts';
import type { Learning } from '../../policy/proposing/learning.ts';
import { propose } from '../../policy/proposing/propose.ts';
import { requestsFromJournal } from '../../sandbox/requests/denied-requests.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { makeLearnWorkspace, removeLeftCopies, type LearnWorkspace } from '../session/learn-workspace.ts';
import { learnNotes } from '../printing/learn-notes.ts';
import { makeRequest } from '../reading/make-request.ts';
import { optionalPositionals, parseOptions, switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';
import { readPolicy } from '../reading/read-policy.ts';
import { hasTerminal, ownIdentity, runSession } from '../session/session.ts';
import { proposalTarget, showProposal } from '../asking/show-proposal.ts';

/**
 * `casemate learn`: runs a command in a copy without secrets, lets little leave the host, and shows the rules that it would
 * need.
 */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  proposalTarget(parsed);
  const learn = learningOf(parsed);
  const request = makeRequest(parsed, context);
  const loaded = await readPolicy(context, {
    explicitFile: request.policyFile,
    commandLine: { agent: request.agent, workspace: request.workspace },
  });
  if (parsed.rest.length === 0 && loaded.policy.agent.name === undefined) {
    throw new CasemateError('USAGE', 'no command is given and the policy names no agent', {
      hint: 'Write a command after --, or choose an agent: casemate learn --agent claude --as-allowed',
    });
  }
  const workspace = await makeLearnWorkspace(loaded.policy.workspace.path, context.paths.state);
  try {
    context.stderr.write(warning(learn, workspace));
    const { sandbox, code } = await runLearned(parsed, context, { request, learn, workspace });
    const asked = await requestsFromJournal(journalPlace(context.paths).folder, sandbox, 'learned');
    const { network, bound } = loaded.policy;
    const proposal = propose(network, asked.requests, { bound });
    return await showProposal(parsed, context, {
      proposal,
      yaml: proposal.rules.length === 0 ? '' : rulesAsYaml(proposal.rules),
      notes: learnNotes(asked, { learn, leftOut: workspace.copied.leftOut, code }),
      file: { explicitFile: request.policyFile, commandLine: { agent: request.agent }, loaded },
      comment: `learned from ${parsed.rest[0] ?? request.agent ?? 'the agent'}`,
    });
  } finally {
    await workspace.remove();
  }
}

function learningOf(parsed: ParsedOptions): Learning {
  const closed = switchOption(parsed, 'closed');
  const writes = switchOption(parsed, 'writes');
  if (closed && writes) {
    throw new CasemateError('USAGE', '--closed and --writes exclude each other', { hint: 'Give one of them.' });
  }
  return {
    mode: closed ? 'closed' : writes ? 'writes' : 'reads',
    known: switchOption(parsed, 'as-allowed') ? 'as-allowed' : 'as-learned',
  };
}

interface LearnRun {
  readonly request: ReturnType<typeof makeRequest>;
  readonly learn: Learning;
  readonly workspace: LearnWorkspace;
}

/** The id of the sandbox, once it is gone and all of it is on record, and the exit code of the command. */
async function runLearned(
  parsed: ParsedOptions,
  context: CommandContext,
  { request, learn, workspace }: LearnRun,
): Promise<{ readonly sandbox: string; readonly code: number }> {
  const client = await connectDaemon(context, { trust: request.trust });
  const tty = hasTerminal(context);
  const opened = await client.call('run', {
    ...request,
    workspace: workspace.path,
    learn,
    command: parsed.rest.length === 0 ? undefined : parsed.rest,
    prompt: textOption(parsed, 'prompt'),
    keep: false,
    tty,
    term: tty ? context.env.get('TERM') : undefined,
    client: await ownIdentity(),
  });
  // What the program prints goes to standard error: the answer of this command is the proposal.
  const code = await runSession({ ...context, stdout: context.stderr }, client, opened, { tty });
  await untilGone(context, opened.sandbox.id);
  return { sandbox: opened.sandbox.id, code };
}

/** It goes with its command, and this waits for its turn behind that, however long a busy host takes. */
async function untilGone(context: CommandContext, sandbox: string): Promise<void> {
  const client = await connectDaemon(context);
  try {
    await client.call('destroy', { name: sandbox });
    const left = await client.call('ls', {});
    // What cannot be removed is no fault of this run.
    await removeLeftCopies(
      context.paths.state,
      left.map(({ workspace }) => workspace),
    ).catch(() => undefined);
  } finally {
    client.close();
  }
}

function warning({ mode, known }: Learning, { copied }: LearnWorkspace): string {
  const out = {
    closed: 'nothing leaves this host; every request is noted down and answered with 202',
    reads:
      'GET and HEAD leave this host, without credentials and content and at most 256 KiB together; the rest is noted down and answered with 202',
    writes: 'every request over HTTP leaves this host, with its content: what is in the copy can get out',
  }[mode];
  const secrets = copied.leftOut.length === 0 ? '' : `, without ${copied.leftOut.length} that may hold secrets or are no files`;
  return [
    `casemate: learning in a copy of the workspace (${copied.files} files${secrets}); the copy is removed afterwards`,
    `casemate: ${out}`,
    ...(mode === 'closed'
      ? []
      : ['casemate: what you would not show to those servers must not be in the workspace: a path can carry it out']),
    ...(known === 'as-allowed' ? ['casemate: what your policy allows already is carried out as ever, with its credentials'] : []),
    '',
  ]
    .map((line) => (line === '' ? '' : `${visible(line)}\n`))
    .join('');
}
