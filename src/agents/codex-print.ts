import { CasemateError } from '../base/errors.ts';
import { countOf, member, parseLine, textOf, type AgentNote, type AgentPrint, type AgentTask } from './print.ts';

/** Codex running without a person: `codex exec --json`. Observed with version 0.169.0. */

/** Of its two ways to ask, neither has anybody to ask here: what its read-only sandbox does not let it do fails. */
const ask = ['-c', 'approval_policy="never"', '-c', 'sandbox_mode="read-only"'] as const;

function command({ permissions, tools, model, maxBudgetUsd, resume }: AgentTask): readonly string[] {
  const stray = Object.entries({ tools, maxBudgetUsd }).find(([, value]) => value !== undefined);
  if (stray !== undefined) {
    throw new CasemateError('UNSUPPORTED', `${stray[0]} cannot be honoured: Codex has no such option`, {
      hint: 'Leave it out. The policy of the host can bound what is spent (budgets) and what is reached.',
    });
  }
  return [
    'codex',
    'exec',
    '--json',
    '--skip-git-repo-check',
    ...(permissions === 'skip' ? ['--dangerously-bypass-approvals-and-sandbox'] : ask),
    ...(model === undefined ? [] : ['--model', model]),
    ...(resume === undefined ? [] : ['resume', resume]),
    // The task comes on standard input.
    '-',
  ];
}

function read(line: string | undefined): AgentNote | undefined {
  const event = parseLine(line ?? '');
  switch (member(event, 'type')) {
    case 'thread.started':
      return { report: { conversation: textOf(member(event, 'thread_id')) ?? '' } };
    case 'item.started':
    case 'item.completed':
      return itemNote(event);
    case 'turn.completed':
      return { report: { failed: false, usage: usageOf(member(event, 'usage')) } };
    case 'turn.failed':
      return { report: { failed: true, result: textOf(member(event, 'error', 'message')) ?? 'the turn failed' } };
    default:
      return undefined;
  }
}

function itemNote(event: unknown): AgentNote | undefined {
  const item = member(event, 'item');
  const isDone = member(event, 'type') === 'item.completed';
  switch (member(item, 'type')) {
    case 'agent_message': {
      const text = textOf(member(item, 'text')) ?? '';
      return isDone ? { say: text.split('\n').filter((line) => line.trim() !== ''), report: { result: text } } : undefined;
    }
    case 'command_execution':
      return isDone ? undefined : { say: [`> command: ${textOf(member(item, 'command')) ?? ''}`] };
    case 'file_change':
      return isDone ? { say: ['> files changed'] } : undefined;
    default:
      return undefined;
  }
}

function usageOf(usage: unknown) {
  return {
    inputTokens: countOf(member(usage, 'input_tokens')),
    outputTokens: countOf(member(usage, 'output_tokens')),
    cacheReadTokens: countOf(member(usage, 'cached_input_tokens')),
    cacheWriteTokens: 0,
  };
}

export const codexPrint: AgentPrint = {
  takesMcpFile: false,
  takesPrompt: 'stdin',
  command,
  reader: () => read,
};
