import { z } from 'zod';

import { visibleLines } from '../../base/text.ts';
import { moreAnswers } from '../answer-size.ts';
import { openCommand, runCommand } from '../run-command.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';
import type { ToolContext } from '../tool-context.ts';
import { variables } from '../variables.ts';

/** Runs one command inside, to its end. */

const word = z
  .string()
  .max(131_072)
  .regex(/^[^\0]*$/, 'must not hold a NUL');

export const commandInput = z.strictObject({
  sessionId,
  command: z
    .union([word.min(1), z.array(word).min(1).max(4096)])
    .describe('program and arguments as a list, or a text for `sh -c` inside'),
  cwd: z
    .string()
    .startsWith('/')
    .max(4096)
    .regex(/^[^\0]*$/)
    .optional()
    .describe('folder inside; default `/workspace`'),
  env: variables.optional(),
  input: z.string().max(1_048_576).optional().describe('standard input'),
  timeoutMs: z.int().min(100).max(3_600_000).default(600_000).describe('the command is ended after this long (exit code 124)'),
  maxOutputBytes: z
    .int()
    .min(1024)
    .max(1_048_576)
    .default(65_536)
    .describe('of each stream at most so much is answered: its beginning and its end'),
});

/** `begun` is told the name of the execution before it has ended. */
export async function runOneCommand(
  { command, cwd, env, input, timeoutMs, maxOutputBytes, ...session }: z.output<typeof commandInput>,
  context: ToolContext,
  begun?: (executionId: string) => void,
) {
  // Said before anything is run: what ran has its answer.
  context.spend(moreAnswers(2 * maxOutputBytes));
  const words = typeof command === 'string' ? ['sh', '-c', command] : command;
  const open = await openCommand(context, { name: session.sessionId, command: words, cwd, env, timeoutMs });
  begun?.(open.opened.executionId);
  const { changedRepositories, ...result } = await runCommand(context, open, { input, maxOutputBytes });
  return { ...result, changedRepositories: [...changedRepositories] };
}

export const executeCommand = tool({
  name: 'execute_command',
  title: 'Run a command',
  about:
    'Runs a command in the session and answers with its exit code and what it printed. A list is started as it is; a text is read by ' +
    '`sh -c` inside the sandbox. No shell of the host reads either. A session that fell idle is started again.',
  input: commandInput,
  output: z.strictObject({
    executionId: z.string(),
    exitCode: z.int().describe('124: ended by `timeoutMs`; 127: there is no such program, or no such `cwd`'),
    stdout: z.string(),
    stderr: z.string(),
    omittedBytes: z.int().describe('left out of the middle; `get_session_logs` has more'),
    timedOut: z.boolean(),
    durationMs: z.int(),
    changedRepositories: z
      .array(z.string())
      .describe(
        'git repositories in the workspace, new or with other settings: look at their .git/config before git runs there; ' +
          'or places in a `.git`, such as a link, or files that a hook reads, by which git of the host would write, read or run something',
      ),
  }),
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  run: async (asked, context) => await runOneCommand(asked, context),
  text({ exitCode, stdout, stderr, timedOut }) {
    const end = timedOut ? 'ended by its time limit' : `exit code ${exitCode}`;
    return [stdout, stderr === '' ? '' : `[standard error]\n${stderr}`, `[${end}]`]
      .filter((part) => part !== '')
      .map(visibleLines)
      .join('\n');
  },
});
