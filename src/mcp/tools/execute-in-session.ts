import { z } from 'zod';

import { mcpFile } from '../../agents/mcp-servers.ts';
import type { Agent } from '../../agents/agent.ts';
import type { AgentReport } from '../../agents/print.ts';
import { CasemateError } from '../../base/errors.ts';
import { agentOfPlan } from '../../sandbox/plan/plan.ts';
import { visible, visibleLines } from '../../base/text.ts';
import { askOnce } from '../../daemon/ask-once.ts';
import { changesBetween, listFiles } from '../changed-files.ts';
import { lineReader } from '../line-reader.ts';
import { openCommand, runCommand } from '../run-command.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';
import type { ToolContext } from '../tool-context.ts';

/** Gives the agent of a session one task without a person: its events are the progress, its result comes at the end. */

const toolRule = z
  .string()
  .regex(/^[A-Za-z_][\w-]{0,127}(?:\([^(),\0\n]{1,200}\))?$/, 'is not the name of a tool such as "Read" or "Bash(git status:*)"');

export const taskInput = z.strictObject({
  sessionId,
  prompt: z
    .string()
    .min(1)
    .max(1_000_000)
    .regex(/^[^\0]*$/, 'must not hold a NUL')
    .describe('the task, in words'),
  tools: z
    .array(toolRule)
    .min(1)
    .max(64)
    .optional()
    .describe(
      'tools that it may use without asking, and no others (Claude Code); default: as the policy says, where `ask` denies what changes things',
    ),
  model: z
    .string()
    .regex(/^[A-Za-z0-9][\w.:/@-]{0,199}$/, 'is not the name of a model')
    .optional()
    .describe('as the agent calls it; default: its own choice'),
  maxBudgetUsd: z
    .number()
    .min(0.01)
    .max(10_000)
    .optional()
    .describe('it stops when it has spent this, by its own count (Claude Code)'),
  timeoutMs: z.int().min(1000).max(7_200_000).default(1_800_000).describe('it is ended after this long (exit code 124)'),
  resume: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{7,127}$/, 'is not the id of a conversation')
    .optional()
    .describe('`conversationId` of an earlier answer: it goes on with what it knew'),
});

const output = z.strictObject({
  executionId: z.string(),
  agent: z.string(),
  result: z.string().describe('what it said at the end'),
  failed: z.boolean().describe('it did not come to its end: a fault, a limit, or its exit code is not 0'),
  exitCode: z.int(),
  timedOut: z.boolean(),
  durationMs: z.int(),
  conversationId: z.string().optional().describe('for `resume`'),
  turns: z.int().optional(),
  costUsd: z.number().optional().describe("by the agent's own count; what the gateway saw is in `casemate usage`"),
  usage: z
    .strictObject({
      inputTokens: z.number(),
      outputTokens: z.number(),
      cacheReadTokens: z.number(),
      cacheWriteTokens: z.number(),
    })
    .optional(),
  filesChanged: z.array(z.strictObject({ path: z.string(), change: z.enum(['added', 'changed', 'removed']) })),
  filesComplete: z.boolean().describe('`filesChanged` holds every file, .git and node_modules aside'),
  stderr: z.string().describe('the last of what it printed there'),
  changedRepositories: z.array(z.string()),
});

export const executeInSession = tool({
  name: 'execute_in_session',
  title: 'Give the agent a task',
  about:
    'The agent of the session (Claude Code, Codex, or one that a file of the host describes) works on one task without a person and answers with its result, its use of tokens, its exit ' +
    'code and the files it changed. Its steps come as progress; get_session_logs has its whole output.',
  input: taskInput,
  output,
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  run: async (asked, context) => await runTask(asked, context),
  text({ result, failed, exitCode, timedOut, filesChanged }) {
    const end = timedOut ? 'ended by its time limit' : failed ? `did not come to its end (exit code ${exitCode})` : undefined;
    const files = filesChanged.map(({ path, change }) => `${change}: ${path}`);
    return [result, ...(end === undefined ? [] : [`[${end}]`]), ...files].map(visibleLines).join('\n');
  },
});

/** `begun` is told the name of the execution before it has ended. */
export async function runTask(
  { prompt, timeoutMs, tools, model, maxBudgetUsd, resume, ...session }: z.output<typeof taskInput>,
  context: ToolContext,
  begun?: (executionId: string) => void,
): Promise<z.output<typeof output>> {
  const { agent, permissions, mcpFile: file } = await agentOf(context, session.sessionId);
  const isArgument = agent.print.takesPrompt === 'argument';
  const given = isArgument ? { prompt } : {};
  const command = agent.print.command({ permissions, tools, model, maxBudgetUsd, resume, mcpFile: file, ...given });
  const before = await listFiles(context, session.sessionId);
  let report: Partial<AgentReport> = {};
  const read = agent.print.reader();
  const tell = (line: string | undefined): void => {
    const note = read(line);
    report = { ...report, ...note?.report };
    note?.say?.forEach((text) => context.progress(visible(text).slice(0, 400)));
  };
  const lines = lineReader(tell);
  const open = await openCommand(context, { name: session.sessionId, command, timeoutMs });
  begun?.(open.opened.executionId);
  const done = await runCommand(context, open, {
    input: isArgument ? '' : prompt,
    maxOutputBytes: 8192,
    onOutput: lines.take,
    quietProgress: true,
  });
  lines.end();
  tell(undefined);
  const { changes, complete } = changesBetween(before, await listFiles(context, session.sessionId));
  return {
    ...endOf(report, done.exitCode),
    executionId: done.executionId,
    agent: agent.name,
    exitCode: done.exitCode,
    timedOut: done.timedOut,
    durationMs: done.durationMs,
    filesChanged: [...changes],
    filesComplete: complete,
    stderr: done.stderr,
    changedRepositories: [...done.changedRepositories],
  };
}

function endOf({ result = '', failed, conversation, turns, costUsd, usage }: Partial<AgentReport>, exitCode: number) {
  return {
    result,
    failed: failed !== false || exitCode !== 0,
    ...(conversation === undefined ? {} : { conversationId: conversation }),
    ...(turns === undefined ? {} : { turns }),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(usage === undefined ? {} : { usage }),
  };
}

async function agentOf(
  { connect }: ToolContext,
  name: string,
): Promise<{ readonly agent: Agent; readonly permissions: 'ask' | 'skip'; readonly mcpFile: string | undefined }> {
  const { plan } = await askOnce(connect, 'inspect', { name });
  const agent = agentOfPlan(plan);
  if (plan.agent === undefined || agent === undefined) {
    throw new CasemateError('USAGE', 'this session has no agent', {
      hint: 'Use execute_command, or make a session with an agent.',
    });
  }
  const hasFile = plan.mcpServers !== undefined && agent.serversInHome !== true;
  const servers = hasFile ? `/home/agent/${mcpFile}` : undefined;
  return { agent, permissions: plan.agent.permissions, mcpFile: servers };
}
