import {
  countOf,
  member,
  parseLine,
  textOf,
  type AgentNote,
  type AgentPrint,
  type AgentReport,
  type AgentTask,
} from './print.ts';

/** Claude Code in print mode: `--output-format stream-json`. Observed with version 2.1.329. */

function command({ permissions, tools, model, maxBudgetUsd, resume, mcpFile }: AgentTask): readonly string[] {
  // A list of tools is a tighter word than to skip all asking, so it takes its place.
  const mode =
    permissions === 'skip' && tools === undefined ? ['--dangerously-skip-permissions'] : ['--permission-mode', 'default'];
  return [
    'claude',
    '-p',
    ...mode,
    '--output-format',
    'stream-json',
    '--verbose',
    // What a project configures there would start programs that nobody asked for.
    '--strict-mcp-config',
    ...(mcpFile === undefined ? [] : [`--mcp-config=${mcpFile}`]),
    ...(tools === undefined ? [] : [`--tools=${namesOf(tools).join(',')}`, `--allowedTools=${tools.join(',')}`]),
    ...(model === undefined ? [] : [`--model=${model}`]),
    ...(maxBudgetUsd === undefined ? [] : [`--max-budget-usd=${maxBudgetUsd}`]),
    ...(resume === undefined ? [] : [`--resume=${resume}`]),
  ];
}

/** `Bash(git status:*)` is a rule about the tool `Bash`. Those of servers are named by the other option alone. */
function namesOf(tools: readonly string[]): readonly string[] {
  return [...new Set(tools.map((tool) => tool.split('(')[0] ?? ''))].filter((name) => !name.startsWith('mcp__'));
}

function read(line: string | undefined): AgentNote | undefined {
  const message = parseLine(line ?? '');
  switch (member(message, 'type')) {
    case 'system':
      return { report: conversationOf(message) };
    case 'assistant':
      return { say: blocksOf(message).flatMap(saidBy) };
    case 'result':
      return { report: { ...conversationOf(message), ...resultOf(message) } };
    default:
      return undefined;
  }
}

function conversationOf(message: unknown): Partial<AgentReport> {
  const conversation = textOf(member(message, 'session_id'));
  return conversation === undefined ? {} : { conversation };
}

function resultOf(message: unknown): Partial<AgentReport> {
  const subtype = textOf(member(message, 'subtype')) ?? '';
  return {
    result: textOf(member(message, 'result')) ?? subtype,
    failed: member(message, 'is_error') === true || subtype !== 'success',
    turns: countOf(member(message, 'num_turns')),
    costUsd: countOf(member(message, 'total_cost_usd')),
    usage: usageOf(message),
  };
}

/** What it stopped for a budget of its own, it leaves out of `usage` and counts by model alone. */
function usageOf(message: unknown): AgentReport['usage'] {
  const usage = member(message, 'usage');
  const told = {
    inputTokens: countOf(member(usage, 'input_tokens')),
    outputTokens: countOf(member(usage, 'output_tokens')),
    cacheReadTokens: countOf(member(usage, 'cache_read_input_tokens')),
    cacheWriteTokens: countOf(member(usage, 'cache_creation_input_tokens')),
  };
  if (Object.values(told).some((count) => count > 0)) {
    return told;
  }
  const byModel = member(message, 'modelUsage');
  const models: readonly unknown[] = typeof byModel === 'object' && byModel !== null ? Object.values(byModel) : [];
  const sum = (name: string): number => models.reduce<number>((total, one) => total + countOf(member(one, name)), 0);
  return {
    inputTokens: sum('inputTokens'),
    outputTokens: sum('outputTokens'),
    cacheReadTokens: sum('cacheReadInputTokens'),
    cacheWriteTokens: sum('cacheCreationInputTokens'),
  };
}

function blocksOf(message: unknown): readonly unknown[] {
  const content = member(message, 'message', 'content');
  return Array.isArray(content) ? content : [];
}

const subjects = ['command', 'file_path', 'pattern', 'url', 'description'] as const;

function saidBy(block: unknown): readonly string[] {
  if (member(block, 'type') === 'text') {
    return (textOf(member(block, 'text')) ?? '').split('\n').filter((line) => line.trim() !== '');
  }
  if (member(block, 'type') !== 'tool_use') {
    return [];
  }
  const input = member(block, 'input');
  const subject = subjects.map((name) => textOf(member(input, name))).find((text) => text !== undefined) ?? '';
  return [`> ${textOf(member(block, 'name')) ?? ''}: ${subject.replaceAll(/\s+/g, ' ').slice(0, 200)}`];
}

export const claudePrint: AgentPrint = {
  takesMcpFile: true,
  takesPrompt: 'stdin',
  command,
  reader: () => read,
};
