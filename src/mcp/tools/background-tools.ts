import { z } from 'zod';

import { toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { charactersIn, moreAnswers } from '../answer-size.ts';
import { tool } from '../tool.ts';
import { commandInput, runOneCommand } from './execute-command.ts';
import { runTask, taskInput } from './execute-in-session.ts';

/** Work that runs while its caller does something else: start, wait, interrupt. */

const started = z.strictObject({ executionId: z.string().describe('for wait_for_execution and interrupt_execution') });
const executionId = z
  .string()
  .regex(/^ex-[0-9a-f]{16}$/, 'is not the id of an execution')
  .describe('of start_command or start_task');
const starts = { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true };

export const startCommand = tool({
  name: 'start_command',
  title: 'Start a command',
  about:
    'As execute_command, but answers as soon as the command has begun. It ends with its time limit, by interrupt_execution, or when you go.',
  input: commandInput,
  output: started,
  hints: starts,
  async run(input, context) {
    const work = context.background.start('command', context, async (own, named) => await runOneCommand(input, own, named));
    return { executionId: await work };
  },
});

export const startTask = tool({
  name: 'start_task',
  title: 'Start a task of the agent',
  about:
    'As execute_in_session, but answers as soon as the agent has begun. It ends with its time limit, by interrupt_execution, or when you go.',
  input: taskInput,
  output: started,
  hints: starts,
  async run(input, context) {
    const work = context.background.start('task', context, async (own, named) => await runTask(input, own, named));
    return { executionId: await work };
  },
});

export const waitForExecution = tool({
  name: 'wait_for_execution',
  title: 'Wait for a command or task',
  about:
    'Waits for what start_command or start_task began, and gives its result: the fields of execute_command or execute_in_session.',
  input: z.strictObject({
    executionId,
    timeoutMs: z.int().min(0).max(600_000).default(60_000).describe('how long to wait at most'),
  }),
  output: z.strictObject({
    state: z
      .enum(['running', 'ended', 'failed'])
      .describe('`running`: not over within `timeoutMs`, wait again; `failed`: it was interrupted, or could not be run'),
    kind: z.enum(['command', 'task']).optional(),
    result: z.record(z.string(), z.unknown()).optional().describe('of one that has ended, whatever its exit code is'),
    error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run(input, { background, signal, spend }) {
    const ended = await background.wait(input.executionId, input.timeoutMs, signal);
    if (ended === undefined) {
      return { state: 'running' as const };
    }
    const kind = ended.kind === 'task' ? ('task' as const) : ('command' as const);
    if (ended.result !== undefined) {
      // It is kept, and can be asked for again.
      spend(moreAnswers(charactersIn(ended.result)));
      return { state: 'ended' as const, kind, result: { ...ended.result } };
    }
    const { code, message } = toCasemateError(ended.error);
    return { state: 'failed' as const, kind, error: { code, message: visible(message) } };
  },
});

export const interruptExecution = tool({
  name: 'interrupt_execution',
  title: 'Interrupt a command or task',
  about:
    'Ends what start_command or start_task began, with all that it started in turn. wait_for_execution tells when it is over.',
  input: z.strictObject({ executionId }),
  output: z.strictObject({ interrupted: z.literal(true) }),
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async run(input, { background }) {
    background.interrupt(input.executionId);
    return { interrupted: true as const };
  },
});
